"""95% intervals for a mean over problems: the bias-corrected and accelerated bootstrap (Efron 1987).

Problems are the unit that is drawn again: samples of one problem are not independent of each other. The generator is
keyed by the seed and the problems' ids, so a figure does not depend on what was computed before it, and two models
compared on the same problems see the same draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 10_000
# With fewer, the two most extreme resamples are likelier than the 2.5% that each tail should hold (4 problems: 1 in 256
# for "the smallest four times", but only 35 distinct means), and the interval would look surer than it is.
MIN_PROBLEMS = 5

_NORMAL = NormalDist()
_CHUNK_CELLS = 4_000_000  # drawn indices held at once: 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, or why there is none."""

    low: float | None
    high: float | None
    reason: str = ""


def keyed_generator(seed: int, *parts: str) -> np.random.Generator:
    """A generator that depends on the seed and the content named by `parts`, and on nothing else."""
    text = "\0".join((str(seed), *parts))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big"))


def mean_interval(
    values: Mapping[str, float], *, seed: int, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """The BCa interval of the mean of `values` (by task_id), or a reason why a bootstrap can't give one."""
    keys = sorted(values)
    if len(keys) < MIN_PROBLEMS:
        return Interval(None, None, f"no interval: {_problems(len(keys))}, and it takes {MIN_PROBLEMS}")
    data = np.array([values[key] for key in keys], dtype=np.float64)
    if float(np.ptp(data)) <= _slack(data):
        return Interval(None, None, "no interval: all problems gave the same value, so a bootstrap sees no spread")
    means = _resampled_means(data, keyed_generator(seed, "bootstrap", *keys), resamples)
    low, high = _bca_levels(data, means, level)
    return Interval(float(np.quantile(means, low)), float(np.quantile(means, high)))


def paired_differences(base: Mapping[str, float], new: Mapping[str, float]) -> dict[str, float]:
    """new - base for each problem that both have: what a paired interval is made from."""
    return {key: new[key] - base[key] for key in sorted(base.keys() & new.keys())}


def _resampled_means(data: NDArray[np.float64], rng: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    """Means of `resamples` draws with replacement; shape [resamples]. Drawn in chunks to bound memory."""
    rows = max(1, _CHUNK_CELLS // len(data))
    parts = [
        data[rng.integers(0, len(data), size=(min(rows, resamples - start), len(data)))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(parts)


def _bca_levels(data: NDArray[np.float64], means: NDArray[np.float64], level: float) -> tuple[float, float]:
    """The two quantiles of the resampled means to read off, corrected for bias and skew; plain ones if undefined."""
    tail = (1.0 - level) / 2.0
    observed = data.mean()
    # Ties are counted half, so that swapping the two models mirrors the interval exactly.
    slack = _slack(data)
    below = float(np.mean(means < observed - slack) + 0.5 * np.mean(np.abs(means - observed) <= slack))
    if not 0.0 < below < 1.0:
        return tail, 1.0 - tail
    bias = _NORMAL.inv_cdf(below)
    # The jackknife means deviate by these over -(n - 1); that factor, and any scale, cancels out. At most 1/6 in size.
    centred = (data - observed) / np.ptp(data)
    acceleration = float(np.sum(centred**3) / (6.0 * np.sum(centred**2) ** 1.5))

    def corrected(probability: float) -> float:
        z = bias + _NORMAL.inv_cdf(probability)
        return _NORMAL.cdf(bias + z / (1.0 - acceleration * z))

    return corrected(tail), corrected(1.0 - tail)


def _slack(data: NDArray[np.float64]) -> float:
    """How far apart two means may be by rounding alone."""
    return 1e-12 * max(1.0, float(np.abs(data).max()))


def _problems(count: int) -> str:
    return f"{count} problem" if count == 1 else f"{count} problems"
