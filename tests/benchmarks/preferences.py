"""What DPO optimises, asked on pairs that were not trained on: did the model shift towards the better solution?

For a pair the shift is log p(better) - log p(worse) under the model, minus the same under the base (the implicit reward
of Rafailov et al., 2023, arXiv 2305.18290, without its factor). Pairs of one problem are not independent: shares are
taken per problem and averaged, with a bootstrap over problems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.metrics.figure import Better, mean_figure
from harness.records import MergedRow
from harness.store import read_rows
from training.dataset import Limits, encode_answer
from training.quiet import quiet_libraries

LIMITS = Limits(whole=512, prompt=512)
MOST_PASSING, MOST_FAILING = 10, 5  # answers of a problem that are looked at, evenly spaced from fastest to slowest


def preferences(rows: Path, base: Path, models: Mapping[str, Path]) -> dict[str, Any]:
    """By model and kind of pair (`qvs` confirmed, `pvf` all): the share of pairs that shifted the right way."""
    problems = list(read_rows(rows, MergedRow))
    before = _log_probabilities(problems, base)
    found: dict[str, Any] = {}
    for name, folder in models.items():
        after = _log_probabilities(problems, folder)
        gained = {key: after[key] - before[key] for key in before}
        found[name] = {"qvs": _share(problems, gained, _quick_slow), "pvf": _share(problems, gained, _passed_failed)}
    return found


def _log_probabilities(problems: Sequence[MergedRow], folder: Path) -> dict[tuple[str, int], float]:
    """Natural log-probability of every answer and its end, by (problem, place); too long ones are left out."""
    with quiet_libraries():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found: dict[tuple[str, int], float] = {}
    for problem in problems:
        for place in _looked_at(problem):
            text = problem.answers[place].text
            ids, start, reason = encode_answer(problem.question, text, tokenizer, LIMITS)
            if reason:
                continue
            sequence = torch.tensor([ids])
            with torch.inference_mode():
                logits = model(sequence).logits[0, start - 1 : -1].float()
            chances = logits.log_softmax(-1).gather(1, sequence[0, start:, None])
            found[problem.id, place] = float(chances.sum())
    return found


def _looked_at(problem: MergedRow) -> list[int]:
    passing, failing = range(problem.passing), range(problem.passing, len(problem.answers))
    return [*_spaced(passing, MOST_PASSING), *_spaced(failing, MOST_FAILING)]


def _spaced(places: range, most: int) -> list[int]:
    return [places[k * len(places) // most] for k in range(most)] if len(places) > most else list(places)


def _quick_slow(problem: MergedRow) -> list[tuple[int, int]]:
    return [(pair.quick, pair.slow) for pair in problem.decided if pair.confirmed]


def _passed_failed(problem: MergedRow) -> list[tuple[int, int]]:
    return [(k, other) for k in range(problem.passing) for other in range(problem.passing, len(problem.answers))]


def _share(
    problems: Sequence[MergedRow],
    gained: Mapping[tuple[str, int], float],
    pairs_of: Callable[[MergedRow], list[tuple[int, int]]],
) -> dict[str, Any]:
    shares: dict[str, float] = {}
    for problem in problems:
        shifts = [
            gained[problem.id, better] - gained[problem.id, worse]
            for better, worse in pairs_of(problem)
            if (problem.id, better) in gained and (problem.id, worse) in gained
        ]
        if shifts:
            shares[problem.id] = sum(shift > 0 for shift in shifts) / len(shifts)
    return asdict(mean_figure(shares, Better.UP, seed=1, missing="no pair"))
