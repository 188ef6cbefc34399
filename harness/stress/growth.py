"""How run time grows with size: the slope of log time over log size, and the laws that the data allow. Pure.

The slope is that of the largest few sizes that lie apart, where what a call costs in any case has faded. Its 95%
interval is Student's t interval of the fit; the scatter about the line is taken to be 5% at least, as much as one
size's inputs differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from harness.timing.statistics import Floats

LEAST_SIZES, MOST_SIZES = 3, 4
APART = 1.9  # factor between sizes, where there are enough of them
SD_FLOOR = 0.05  # of log times about the line
CONFIDENCE = 0.95
STRAIGHT = 0.5  # scatter of log times about the line over size
STEEP = 3.5  # slopes from here on are no polynomial that anybody writes on purpose

LAWS: dict[str, Callable[[float], float]] = {  # logarithms, up to a constant
    "constant": lambda n: 0.0,
    "logarithmic": lambda n: math.log(math.log(n + 2)),
    "square root": lambda n: 0.5 * math.log(n),
    "linear": math.log,
    "n log n": lambda n: math.log(n) + math.log(math.log(n + 2)),
    "n sqrt n": lambda n: 1.5 * math.log(n),
    "quadratic": lambda n: 2 * math.log(n),
    "cubic": lambda n: 3 * math.log(n),
}


@dataclass(frozen=True, slots=True)
class Growth:
    """exponent with its 95% interval; sizes: how many it rests on; laws: names of LAWS that give a slope within the
    interval over these sizes, or ("exponential",); may be empty."""

    exponent: float
    low: float
    high: float
    sizes: int
    laws: tuple[str, ...]


def fitted_sizes(sizes: Sequence[float]) -> list[float]:
    """The sizes that growth is read from, smallest first: up to four of the largest, about twofold apart; the largest
    ones as they are where that leaves fewer than three (exponential growth has no others)."""
    chosen: list[float] = []
    for size in sorted(sizes, reverse=True):
        if len(chosen) < MOST_SIZES and (not chosen or size * APART <= chosen[-1]):
            chosen.append(size)
    return chosen[::-1] if len(chosen) >= LEAST_SIZES else sorted(sizes)[-MOST_SIZES:]


def fit_growth(points: Sequence[tuple[float, float]]) -> Growth | None:
    """points: (size, ns), sizes ≥ 1 and different. None for fewer than three sizes."""
    if len(points) < LEAST_SIZES:
        return None
    sizes = set(fitted_sizes([one for one, _ in points]))
    largest = sorted(point for point in points if point[0] in sizes)
    size = np.array([one for one, _ in largest], dtype=np.float64)
    log_size, log_time = np.log(size), np.log([ns for _, ns in largest])
    slope, scatter = _line(log_size, log_time)
    error = max(scatter, SD_FLOOR) / math.sqrt(float(((log_size - log_size.mean()) ** 2).sum()))
    # The floor is known beforehand, so it costs no degrees of freedom; scatter that exceeds it does.
    quantile = 1.96 if scatter <= SD_FLOOR else float(stdtrit(len(largest) - 2, (1 + CONFIDENCE) / 2))
    low, high = slope - quantile * error, slope + quantile * error
    if _exponential(size, log_size, log_time):
        return Growth(slope, low, high, len(largest), ("exponential",))
    laws = (
        name
        for name, law in LAWS.items()
        if low <= _line(log_size, np.array([law(one) for one, _ in largest]))[0] <= high
    )
    return Growth(slope, low, high, len(largest), tuple(laws))


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope of the least-squares line and the standard deviation about it."""
    slope, offset = np.polyfit(x, y, 1)
    rest = y - slope * x - offset
    return float(slope), float(np.sqrt((rest**2).sum() / max(len(x) - 2, 1)))


def _exponential(size: Floats, log_size: Floats, log_time: Floats) -> bool:
    """Ever steeper, and a straight line over the size itself rather than over its logarithm."""
    slopes = np.diff(log_time) / np.diff(log_size)
    straight, bent = _line(size, log_time)[1], _line(log_size, log_time)[1]
    return bool(slopes[-1] > STEEP and (np.diff(slopes) > 0).all() and straight < min(bent, STRAIGHT))
