"""Matched speed-up: run times compared problem by problem, over the problems that both models solve.

Per problem ln(t_base / t_new); over problems the geometric mean. Regressions count as they are, nothing is clipped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from harness.metrics.bootstrap import keyed_generator

NOTABLE = 1.10  # a speed-up that PIE (Shypula et al. 2024) calls an optimisation; its inverse is a regression
EXACT_LIMIT = 20  # problems up to which all sign patterns are gone through (2^19 of them, by symmetry)
DRAWS = 50_000


def log_ratios(over: Mapping[str, float | None], under: Mapping[str, float | None]) -> dict[str, float]:
    """ln(over / under) for each problem where both have a positive value; problems in sorted order."""
    ratios: dict[str, float] = {}
    for key in sorted(over.keys() & under.keys()):
        above, below = over[key], under[key]
        if above is not None and below is not None and above > 0 and below > 0:
            ratios[key] = math.log(above) - math.log(below)
    return ratios


def sign_flip_p(logs: Mapping[str, float], *, seed: int) -> float | None:
    """Two-sided p for "the mean log-ratio is 0": were each problem's sign a coin toss, how often as far from 0?

    Exact up to 20 problems with a difference, seeded Monte Carlo with the add-one correction beyond (so never 0). None
    without problems. Problems with a log-ratio of exactly 0 have no sign to flip and leave p as it is.
    """
    if not logs:
        return None
    values = np.array([logs[key] for key in sorted(logs) if logs[key] != 0.0], dtype=np.float64)
    if len(values) == 0:
        return 1.0
    observed = abs(float(values.sum()))
    bound = observed - 1e-9 * float(np.abs(values).sum())  # patterns that tie up to rounding count as ties
    if len(values) <= EXACT_LIMIT:
        sums = values[:1].copy()  # the first sign is fixed: the other half are the same sums, negated
        for value in values[1:]:
            sums = np.concatenate((sums + value, sums - value))
        return float(np.mean(np.abs(sums) >= bound))
    rng = keyed_generator(seed, "sign-flip", *sorted(logs))
    hits = 0
    for start in range(0, DRAWS, 5_000):
        rows = min(5_000, DRAWS - start)
        signs = rng.integers(0, 2, size=(rows, len(values)), dtype=np.int8) * 2.0 - 1.0
        hits += int(np.count_nonzero(np.abs(signs @ values) >= bound))
    return (1 + hits) / (1 + DRAWS)


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Holm's step-down adjustment over the comparisons that have a p; the others stay None and are not counted."""
    known = sorted((p, name) for name, p in p_values.items() if p is not None)
    adjusted: dict[str, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for rank, (p, name) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[name] = highest
    return adjusted


def is_notable(log_ratio: float) -> bool:
    """At least 1.10 (with room for rounding at the very edge)."""
    return log_ratio >= math.log(NOTABLE) - 1e-12
