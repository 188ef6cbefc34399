"""From timing samples to ratios with intervals: per process, per round, per pair.

- Within a process: the minimum (Chen & Revels 2016: what else runs only adds time).
- Across processes the memory layout and the hash seed move a run time by several per cent both ways (Mytkowicz 2009;
  Kalibera & Jones 2013), so a minimum there would pick the lucky process. Each round runs all solutions once, side by
  side, so the logarithm of the ratio within a round is free of what the round did to both (Abedi & Brecht 2017).
- The ratio is the median of these paired log-ratios. Its interval is Student's t interval of their mean, stretched to
  hold the median. Why t: with 5 rounds no distribution-free interval reaches 99% (the sign test's widest has
  1 - 2/2**5 = 93.75%; so has Wilcoxon's signed-rank), it takes 8. Why one rule for all counts of rounds: a rule that
  changes at 8 would decide pairs by the change. What t assumes: rounds are independent (fresh processes, new seeds,
  new order) and the log-ratios are near normal. Outliers make the interval wider, so they cost rounds, not truth; what
  would make it too narrow is rounds that agree by luck, so the standard deviation has a floor.

Arrays: `log_times` is (solutions, rounds), natural logarithm of ns per pass over the call list, NaN where absent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from harness.records import MeasurementBlock, SolutionTiming

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WIDEST = float(np.log(1000.0))  # half-width, as a logarithm, where there is no interval (fewer than 2 rounds)


@dataclass(frozen=True, slots=True)
class Estimates:
    """Location of each row of values, as logarithms. `rounds` values were present; with none, `median` is NaN."""

    rounds: Ints
    median: Floats
    mean: Floats
    error: Floats  # standard error of the mean, from the floored standard deviation; NaN with fewer than 2 rounds
    low: Floats
    high: Floats


def log_times(blocks: Sequence[MeasurementBlock], solution_ids: Sequence[str]) -> Floats:
    """(solutions, blocks): ln of the least CPU time of one pass in ns; NaN where a block lacks a timing."""
    return _logarithms(blocks, solution_ids, lambda one: min(one.cpu_ns) / one.loops if one.loops > 0 else 0.0)


def log_first_times(blocks: Sequence[MeasurementBlock], solution_ids: Sequence[str]) -> Floats:
    """(solutions, blocks): ln of the CPU time of a fresh program's first pass in ns; NaN where it is absent."""
    return _logarithms(blocks, solution_ids, lambda one: float(one.first_ns))


def _logarithms(
    blocks: Sequence[MeasurementBlock], solution_ids: Sequence[str], time_of: Callable[[SolutionTiming], float]
) -> Floats:
    row = {solution_id: index for index, solution_id in enumerate(solution_ids)}
    times = np.full((len(solution_ids), len(blocks)), np.nan)
    for column, block in enumerate(blocks):
        for timing in block.solutions:
            if timing.cpu_ns and timing.solution_id in row and (value := time_of(timing)) > 0:
                times[row[timing.solution_id], column] = np.log(value)
    return times


def estimate(values: Floats, *, confidence: float, sd_floor: float) -> Estimates:
    """Median, mean and t interval of each row of `values` (rows, rounds), NaN left out."""
    present = ~np.isnan(values)
    rounds = present.sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    rows = np.arange(len(values))
    median = np.full(len(values), np.nan)
    if values.shape[1]:
        median = (ordered[rows, np.maximum(rounds - 1, 0) // 2] + ordered[rows, rounds // 2]) / 2
    filled = np.where(present, values, 0.0)
    mean = np.where(rounds > 0, filled.sum(axis=1) / np.maximum(rounds, 1), np.nan)
    squares = np.where(present, values - mean[:, None], 0.0) ** 2
    several = rounds >= 2
    sd = np.maximum(np.sqrt(squares.sum(axis=1) / np.maximum(rounds - 1, 1)), sd_floor)
    error = np.where(several, sd / np.sqrt(np.maximum(rounds, 1)), np.nan)
    quantile = stdtrit(np.maximum(rounds - 1, 1), 0.5 + confidence / 2)
    half = np.where(several, np.minimum(quantile * error, WIDEST), WIDEST)
    low, high = np.minimum(mean - half, median), np.maximum(mean + half, median)
    return Estimates(rounds, median, mean, error, low, high)


def pair_indices(count: int) -> tuple[Ints, Ints]:
    """All pairs i < j of `count` solutions."""
    first, second = np.triu_indices(count, k=1)
    return first.astype(np.int64), second.astype(np.int64)


def paired_log_ratios(times: Floats, first: Ints, second: Ints) -> Floats:
    """(pairs, rounds): ln(second / first) in each round that has both."""
    return times[second] - times[first]


def p_values(estimates: Estimates, log_bound: float) -> Floats:
    """p of "the ratio isn't beyond the bound" in the direction of its median; doubled, as the data chose that."""
    towards = np.where(estimates.median < 0, -estimates.mean, estimates.mean)
    usable = estimates.rounds >= 2
    with np.errstate(invalid="ignore"):
        statistic = np.where(usable, (towards - log_bound) / estimates.error, 0.0)
    upper_tail = stdtr(np.maximum(estimates.rounds - 1, 1), -statistic)
    return np.where(usable, np.minimum(2 * upper_tail, 1.0), 1.0)


def benjamini_hochberg(p: Floats, rate: float) -> Bools:
    """Which hypotheses are rejected with a false discovery rate of at most `rate` (Benjamini & Hochberg 1995).

    Pairs of one problem share solutions, so they are positively dependent, not independent; the procedure holds for
    the usual kinds of positive dependence (Benjamini & Yekutieli 2001) and is taken as such here.
    """
    if not len(p):
        return np.zeros(0, dtype=np.bool_)
    ordered = np.sort(p)
    passing = np.nonzero(ordered <= rate * np.arange(1, len(p) + 1) / len(p))[0]
    return p <= ordered[passing[-1]] if len(passing) else np.zeros(len(p), dtype=np.bool_)
