"""Problems, merged rows and tokens, small and made up, for the tests of sampling and training."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from harness.records import Answer, MergedRow, Problem, QuickSlow
from training.dataset import Encoder, Limits, TokenData, open_tokens
from training.selection import PairRule, Task

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
