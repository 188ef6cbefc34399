"""Joint: the run time to expect of a sample, right or wrong. Correctness and speed in one unit."""

from __future__ import annotations

import math
from collections.abc import Sequence


def expected_time(times: Sequence[float], failures: int, limit: float) -> float | None:
    """The mean run time over right samples (`times`) and `failures` wrong ones that count as `limit`; None for neither.

    In the unit of `times`. A right sample counts as `limit` at most, so that being wrong never pays.
    """
    if failures < 0 or limit <= 0:
        raise ValueError("failures must not be negative, the limit must be positive")
    samples = len(times) + failures
    return (math.fsum(min(time, limit) for time in times) + failures * limit) / samples if samples else None
