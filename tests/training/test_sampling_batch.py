"""Rows side by side: places change hands, contexts are read once, and memory may run out, whatever the architecture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoTokenizer,
    BloomConfig,
    GPT2Config,
    GPTBigCodeConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.progress import ConsoleReporter
from harness.sampling.backend import TransformersSampler
from harness.sampling.models import resolve_model
from harness.sampling.rows import Start
from harness.sampling.settings import Row, SamplingSettings, plan
from harness.sampling.written import Written
from tests.training.small_data import PROMPTS

pytestmark = pytest.mark.training

SMALL = {"vocab_size": 49_152, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
LAYERS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SMALL, **LAYERS, num_key_value_heads=2),
    "qwen2": lambda: Qwen2Config(**SMALL, **LAYERS, num_key_value_heads=2),
    "gpt2": lambda: GPT2Config(**SMALL, n_embd=32, n_layer=2, n_head=4),
    "gpt_bigcode": lambda: GPTBigCodeConfig(**SMALL, n_embd=32, n_layer=2, n_head=4),
    "bloom": lambda: BloomConfig(**SMALL, hidden_size=32, n_layer=2, n_head=4),
    "mistral, sliding window": lambda: MistralConfig(**SMALL, **LAYERS, num_key_value_heads=2, sliding_window=16),
}
REFILLABLE = {"llama", "qwen2", "gpt2", "gpt_bigcode"}
# Of different lengths, so that rows are padded, and done at different times.
PROBLEMS = {f"{name}{lines}": prompt + "    # so\n" * lines for name, prompt in PROMPTS.items() for lines in range(3)}


class Counting(TransformersSampler):
    """Keeps what the model was asked: rows and tokens per row."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        self.asked = [*getattr(self, "asked", ()), (ids.shape[0], ids.shape[1])]
        return super().forward(ids, mask, cache)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(resolve_model("smollm2-135m", ConsoleReporter()))


@pytest.fixture(params=CONFIGS)
def sampler(request: pytest.FixtureRequest, tokenizer: Any) -> Counting:
    torch.manual_seed(1)
    config = CONFIGS[request.param]()
    model = AutoModelForCausalLM.from_config(config).eval()
    # Small random weights write one token for ever; these make greedy texts that depend on all that came before.
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8)
    model.generation_config.eos_token_id = list(range(0, 49_152, 20))  # so that rows end at different times
    return Counting.around(model, tokenizer)


def write(sampler: TransformersSampler, settings: SamplingSettings) -> dict[Row, Written]:
    starts = {name: sampler.start(prompt) for name, prompt in PROBLEMS.items()}
    rows = plan(lengths(starts), {name: range(settings.n_seq) for name in starts}, settings)
    return {one.row: one for one in sampler.write(rows, starts, settings)}


def lengths(starts: dict[str, Start]) -> dict[str, int]:
    return {name: start.size for name, start in starts.items()}


def test_greedy_tokens_are_those_of_generate(sampler: Counting) -> None:
    written = write(sampler, SamplingSettings(n_seq=1, max_new_tokens=40, batch_size=4))
    assert len(written) == len(PROBLEMS)
    texts = set()
    for row, one in written.items():
        ids = torch.tensor([sampler.start(PROBLEMS[row.task_id]).ids])
        output = sampler.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=one.tokens
        )
        expected = tuple(output[0, ids.shape[1] :].tolist())
        assert one.ids == expected[: len(one.ids)]
        texts.add(one.ids)
    assert len(texts) > 1


def test_places_change_hands_and_contexts_are_read_once(sampler: Counting, request: pytest.FixtureRequest) -> None:
    settings = SamplingSettings(n_seq=5, temperature=1.0, max_new_tokens=60, batch_size=7)
    written = write(sampler, settings)
    assert set(written) == {Row(name, number) for name in PROBLEMS for number in range(5)}
    assert len({one.tokens for one in written.values()}) > 2, 'rows that end together would test no change of hands'
    architecture = request.node.callspec.params["sampler"]
    contexts = sum(rows for rows, tokens in sampler.asked if tokens > 1)
    steps = [rows for rows, tokens in sampler.asked if tokens == 1]
    assert max(steps) <= 7
    tokens = sum(one.tokens or 0 for one in written.values())
    if architecture in REFILLABLE:
        assert contexts == len(PROBLEMS)
        # Every place is at work until nothing waits: no step has fewer rows before the last contexts are read.
        last = max(at for at, (_, width) in enumerate(sampler.asked) if width > 1)
        assert all(rows == 7 for rows, width in sampler.asked[:last] if width == 1)
        assert sum(steps) < 1.3 * tokens
    else:
        assert contexts >= len(PROBLEMS)


def test_a_row_is_the_same_whatever_has_the_places_beside_it(
    sampler: Counting, request: pytest.FixtureRequest
) -> None:
    """In float64 there is no rounding to speak of: all rows, to the token."""
    if request.node.callspec.params["sampler"] == "bloom":
        pytest.skip("transformers' Bloom makes NaN of a padded prompt in float64; float32 is right, see above")
    sampler.model.double()
    many = write(sampler, SamplingSettings(n_seq=4, temperature=1.0, max_new_tokens=30, batch_size=16))
    few = write(sampler, SamplingSettings(n_seq=4, n_iter=2, temperature=1.0, max_new_tokens=30, batch_size=3))
    assert many == few
    assert len({one.ids for one in many.values()}) > 2 * len(PROBLEMS)


SHORT_OF_MEMORY = """
import json, resource
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from harness.errors import UserError
from harness.progress import ConsoleReporter
from harness.sampling.backend import TransformersSampler
from harness.sampling.models import resolve_model
from harness.sampling.settings import Row, SamplingSettings

torch.set_num_threads(1)
torch.manual_seed(1)
config = LlamaConfig(vocab_size=49152, hidden_size=256, num_hidden_layers=2, num_attention_heads=4,
                     num_key_value_heads=4, intermediate_size=64, bos_token_id=0, eos_token_id=0)
tokenizer = AutoTokenizer.from_pretrained(resolve_model("smollm2-135m", ConsoleReporter()))
model = LlamaForCausalLM(config).eval()
settings = SamplingSettings(n_seq=48, temperature=1.0, max_new_tokens=8)

def write(spare, lines):
    warnings = []
    sampler = TransformersSampler.around(model, tokenizer, warn=warnings.append)
    starts = {"a": sampler.start("def f(x: int) -> int:\\n" + "    # so it is\\n" * lines)}
    if spare:
        used = 4096 * int(open("/proc/self/statm").read().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (used + spare, -1))
    try:
        rows = sampler.write([Row("a", number) for number in range(48)], starts, settings)
        ids = {one.row.sample_id: one.ids for one in rows}
    except UserError as error:
        return {"error": str(error), "warnings": warnings}
    return {"ids": ids, "warnings": warnings, "places": sampler.facts({}).get("places")}

print(json.dumps([write(0, 80), write(64 << 20, 80), write(1 << 20, 900)]))
"""


def test_running_out_of_memory_halves_the_places_and_goes_on() -> None:
    """For real: the process may not have more address space than it has, and some."""
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    plenty, scarce, none = json.loads(done.stdout)
    assert (plenty["warnings"], plenty["places"]) == ([], None)
    assert scarce["places"] <= 24
    assert len(scarce["warnings"]) >= 1
    assert scarce["ids"].keys() == plenty["ids"].keys()
    assert sum(scarce["ids"][row] == ids for row, ids in plenty["ids"].items()) >= 0.9 * 48
    assert "not enough memory for a single completion" in none["error"]
    assert "--max_new_tokens" in none["error"]
    assert [warning.rpartition(" ")[2] for warning in none["warnings"]] == ["24", "12", "6", "3", "1"]
