"""A number as it is reported: with what it rests on, how sure it is, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.metrics.bootstrap import mean_interval


class Better(StrEnum):
    """Which way a figure should move."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Figure:
    """One reported number.

    `value` is None where it can't be said, `low` and `high` (95% interval) are None where only the interval can't;
    `reason` then says why. `n` counts what the number rests on, in units of `of` ("problems", "samples", "pairs", …).
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    of: str
    better: Better
    reason: str = ""


def mean_figure(values: Mapping[str, float], better: Better, *, seed: int, missing: str) -> Figure:
    """The mean over problems (`values` by task_id) with a bootstrap interval.

    `missing` is the reason given when there are no values.
    """
    if not values:
        return Figure(None, None, None, 0, "problems", better, missing)
    interval = mean_interval(values, seed=seed)
    mean = math.fsum(values.values()) / len(values)
    return Figure(mean, interval.low, interval.high, len(values), "problems", better, interval.reason)


def geometric_mean_figure(logs: Mapping[str, float], better: Better, *, seed: int, missing: str) -> Figure:
    """The geometric mean of ratios whose natural logarithms are given by task_id, with a bootstrap interval."""
    figure = mean_figure(logs, better, seed=seed, missing=missing)
    return replace(figure, value=_exp(figure.value), low=_exp(figure.low), high=_exp(figure.high))


def share_figure(count: int, total: int, of: str, better: Better, *, missing: str) -> Figure:
    """A plain share. No interval: what it counts (samples, pairs of a problem) are not independent draws."""
    if total == 0:
        return Figure(None, None, None, 0, of, better, missing)
    return Figure(count / total, None, None, total, of, better, f"no interval: {of} of one problem are not independent")


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)
