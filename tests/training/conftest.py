"""A small real model (two Llama layers, random weights) with the real SmolLM2 tokeniser, and data to train it on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from harness.records import Answer, MergedRow, Problem, QuickSlow
from harness.store import write_rows
from tests.tiny_llama import save_tiny_llama, smollm2_tokenizer
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
    return smollm2_tokenizer()


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
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_llama(folder, tokenizer, width=64, layers=2, heads=4)
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
