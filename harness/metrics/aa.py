"""A/A: a model compared with itself. A difference that shows is a fault of sampling or measuring, not of the model."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from harness.metrics.speedup import log_ratios


def aa_log_ratios(times: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """ln(median of even samples / median of odd ones) by task_id, from run times by task_id and sample number.

    Problems without a time in both halves are left out. Which half a sample is in does not depend on what it is.
    """
    return log_ratios(_half(times, 0), _half(times, 1))


def _half(times: Mapping[str, Mapping[int, float]], rest: int) -> dict[str, float | None]:
    halves = {task_id: [own[number] for number in own if number % 2 == rest] for task_id, own in times.items()}
    return {task_id: median(half) if half else None for task_id, half in halves.items()}
