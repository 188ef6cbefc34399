"""A short soak test: over 3,000 mixed runs nothing leaks and every verdict is right. Times: `make bench-soak`."""

from __future__ import annotations

import pytest

from sandbox import allowed_cores
from tests.benchmarks.soak import soak

pytestmark = pytest.mark.docker


def test_nothing_grows_and_nothing_is_left_over_many_runs():
    found = soak(3_000, allowed_cores()[:2], seed=1, advance=lambda: None, recycle_after=700)
    assert found.kinds.total() == 3_000
    assert len(found.kinds) >= 20, "a kind of run did not come up"
    assert len(found.samples) == 2
    assert found.failures(timing=False) == []
