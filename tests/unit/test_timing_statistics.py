"""Medians, intervals and p-values against scipy's own, and Benjamini-Hochberg against its definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from timing_blocks import LOOPS, blocks

from harness.timing.statistics import (
    WIDEST,
    benjamini_hochberg,
    estimate,
    log_times,
    p_values,
    pair_indices,
    paired_log_ratios,
)


def test_log_times_takes_the_minimum_per_loop_and_marks_what_is_absent() -> None:
    block = blocks([50.0, 70.0], 1)[0]
    first, second = block.solutions
    first = replace(first, cpu_ns=[90 * LOOPS, 60 * LOOPS, 75 * LOOPS])
    failed = replace(second, cpu_ns=[], loops=0)
    zero = replace(second, cpu_ns=[0, 100])
    times = log_times(
        [
            replace(block, solutions=[first, second]),
            replace(block, solutions=[failed]),
            replace(block, solutions=[zero]),
        ],
        ["s000", "s001"],
    )
    np.testing.assert_allclose(np.exp(times), [[60, np.nan, np.nan], [70, np.nan, np.nan]], rtol=1e-12)


@given(st.lists(st.one_of(st.floats(-3, 3), st.just(float("nan"))), min_size=1, max_size=17))
def test_estimate_is_the_median_and_the_t_interval(row: list[float]) -> None:
    values = np.array([row])
    present = values[~np.isnan(values)]
    got = estimate(values, confidence=0.99, sd_floor=0.01)
    assert got.rounds[0] == len(present)
    if not len(present):
        assert np.isnan(got.median[0])
        return
    assert got.median[0] == pytest.approx(np.median(present))
    assert got.low[0] <= got.median[0] <= got.high[0]
    if len(present) >= 2:
        sd = max(float(np.std(present, ddof=1)), 0.01)
        low, high = stats.t.interval(0.99, len(present) - 1, np.mean(present), sd / np.sqrt(len(present)))
        assert got.low[0] == pytest.approx(min(max(low, np.mean(present) - WIDEST), np.median(present)))
        assert got.high[0] == pytest.approx(max(min(high, np.mean(present) + WIDEST), np.median(present)))
    else:
        assert got.high[0] - got.low[0] == pytest.approx(2 * WIDEST)


def test_the_floor_stops_rounds_that_agree_by_luck() -> None:
    got = estimate(np.full((1, 5), 0.2), confidence=0.99, sd_floor=0.01)
    assert got.high[0] - got.low[0] == pytest.approx(2 * stats.t.isf(0.005, 4) * 0.01 / np.sqrt(5))


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    for rounds in (5, 8, 16):
        got = estimate(rng.normal(0.1, 0.04, (20_000, rounds)), confidence=0.99, sd_floor=0.0)
        missed = np.mean((got.low > 0.1) | (got.high < 0.1))
        assert 0.006 <= missed <= 0.0125, (rounds, missed)


def test_p_values_are_the_doubled_one_sided_t_test() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.08, 0.05, (50, 6))
    values[::2] *= -1
    got = p_values(estimate(values, confidence=0.99, sd_floor=0.0), 0.05)
    for row, p in zip(values, got, strict=True):
        towards = row * np.sign(np.median(row))
        assert p == pytest.approx(min(1, 2 * stats.ttest_1samp(towards, 0.05, alternative="greater").pvalue))
    one_round = estimate(np.array([[0.5, np.nan]]), confidence=0.99, sd_floor=0.01)
    assert p_values(one_round, 0.05)[0] == 1.0


@given(st.lists(st.floats(0, 1), max_size=30), st.sampled_from([0.01, 0.1, 0.5]))
def test_benjamini_hochberg_by_its_definition(p: list[float], rate: float) -> None:
    ordered = sorted(p)
    count = max((k for k in range(1, len(p) + 1) if ordered[k - 1] <= rate * k / len(p)), default=0)
    bound = ordered[count - 1] if count else -1.0
    assert benjamini_hochberg(np.array(p), rate).tolist() == [value <= bound for value in p]


def test_pairs_are_all_pairs_once() -> None:
    first, second = pair_indices(4)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    ratios = paired_log_ratios(np.log([[1.0, 2.0], [3.0, np.nan], [1.0, 1.0], [1.0, 1.0]]), first, second)
    np.testing.assert_allclose(np.exp(ratios[0]), [3.0, np.nan])
