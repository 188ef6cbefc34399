"""How hard the fuzz tests try: the same examples every time, or with FUZZ=long a hundred times as many, always new."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("FUZZ") == "long"


def examples(number: int) -> settings:
    return settings(
        max_examples=100 * number if LONG else number,
        deadline=None,
        derandomize=not LONG,
        suppress_health_check=[HealthCheck.too_slow],
    )
