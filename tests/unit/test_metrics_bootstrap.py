"""The bootstrap against scipy's, and against what a 95% interval promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.metrics.bootstrap import keyed_generator, mean_interval, paired_differences


def _keyed(values: np.ndarray) -> dict[str, float]:
    return {f"{place:04d}": float(value) for place, value in enumerate(values)}


@pytest.mark.parametrize("kind", ["skewed", "shares", "few"])
def test_interval_is_scipys_bca(kind: str) -> None:
    rng = np.random.default_rng(11)
    values = {"skewed": rng.lognormal(0, 1, 40), "shares": rng.beta(0.5, 0.2, 90), "few": rng.normal(0, 1, 7)}[kind]
    ours = mean_interval(_keyed(values), seed=1, resamples=40_000)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=40_000, rng=np.random.default_rng(2))
    spread = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * spread)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * spread)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        interval = mean_interval(_keyed(rng.exponential(1.0, 40)), seed=0, resamples=1_000)
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= 1.0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.985


@given(st.dictionaries(st.text(max_size=4), st.floats(-5, 5), min_size=5, max_size=30), st.integers(0, 9))
def test_interval_stays_within_the_data_and_ignores_order(values: dict[str, float], seed: int) -> None:
    interval = mean_interval(values, seed=seed, resamples=500)
    assert mean_interval(dict(reversed(list(values.items()))), seed=seed, resamples=500) == interval
    if interval.low is None or interval.high is None:
        assert interval.reason
        assert max(values.values()) - min(values.values()) < 1e-11
    else:
        slack = 1e-9
        assert min(values.values()) - slack <= interval.low <= interval.high <= max(values.values()) + slack


def test_the_generator_is_keyed_by_seed_and_content_alone() -> None:
    def draw(seed: int, *parts: str) -> int:
        return int(keyed_generator(seed, *parts).integers(0, 2**62))

    np.random.seed(0)
    first = draw(1, "a", "b")
    np.random.seed(1)
    assert draw(1, "a", "b") == first
    assert len({first, draw(2, "a", "b"), draw(1, "ab"), draw(1, "b", "a"), draw(1, "\ud800")}) == 5


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    rng = np.random.default_rng(4)
    base = rng.uniform(0, 1, 60)
    new = base + 0.05 + rng.normal(0, 0.02, 60)
    paired = mean_interval(paired_differences(_keyed(base), _keyed(new)), seed=0)
    single = mean_interval(_keyed(new), seed=0)
    assert paired.low is not None
    assert paired.high is not None
    assert single.low is not None
    assert single.high is not None
    assert 0.04 < paired.low < paired.high < 0.06
    assert paired.high - paired.low < 0.2 * (single.high - single.low)
    assert paired_differences({"a": 1.0, "b": 2.0}, {"b": 5.0, "c": 1.0}) == {"b": 3.0}


def test_memory_stays_bounded_with_many_problems() -> None:
    interval = mean_interval(_keyed(np.random.default_rng(0).uniform(0, 1, 9_000)), seed=0, resamples=1_000)
    assert interval.low is not None
    assert 0.48 < interval.low < 0.52
