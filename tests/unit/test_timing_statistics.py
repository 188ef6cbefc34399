"""Medians, intervals and p-values against scipy's own, and Benjamini-Hochberg against its definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from timing_blocks import LOOPS, blocks

from harness.records import Decision, MeasurementBlock
from harness.timing.decisions import DecisionSettings, decide
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


# ---- properties ------------------------------------------------------------------------------------------------------

SCREENING = DecisionSettings(confirm_rounds=0)
ROWS = st.lists(st.floats(-2, 2), min_size=2, max_size=16)
P_VALUES = st.lists(st.floats(0, 0.2), min_size=1, max_size=20)
RATES = st.sampled_from([0.01, 0.05, 0.1])
TRUE_NS = st.lists(st.floats(1e4, 3e4), min_size=2, max_size=6)
SEEDS = st.integers(0, 2**32)


def measured(true_ns: Sequence[float], seed: int, rounds: int = 6) -> list[MeasurementBlock]:
    return blocks(true_ns, rounds, np.random.default_rng(seed))


def disturbed(true_ns: Sequence[float], effects: Sequence[Sequence[float]]) -> list[MeasurementBlock]:
    """A block for each of `effects`, which holds the ln of what each process does to its solution's run time."""
    made = []
    for number, per_solution in enumerate(effects):
        times = [true * float(np.exp(effect)) for true, effect in zip(true_ns, per_solution, strict=True)]
        made += blocks(times, 1, first_round=number)
    return made


def effects_within(bound: float) -> st.SearchStrategy[list[tuple[float, float]]]:
    each = st.floats(-bound, bound)
    return st.lists(st.tuples(each, each), min_size=5, max_size=16)


@given(ROWS, st.floats(-5, 5))
def test_a_shift_of_the_values_shifts_all_and_a_mirror_mirrors_all(row: list[float], shift: float) -> None:
    plain, moved, mirrored = (
        estimate(np.array([values]), confidence=0.99, sd_floor=0.01)
        for values in (row, [value + shift for value in row], [-value for value in row])
    )
    for name in ("median", "mean", "low", "high"):
        assert getattr(moved, name)[0] == pytest.approx(getattr(plain, name)[0] + shift, abs=1e-9)
    assert moved.error[0] == pytest.approx(plain.error[0], abs=1e-9)
    for name, other in (("median", "median"), ("mean", "mean"), ("low", "high"), ("high", "low")):
        assert getattr(mirrored, name)[0] == pytest.approx(-getattr(plain, other)[0], abs=1e-12)


@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 4))
def test_neither_the_order_of_rounds_nor_absent_ones_change_an_estimate(row: list[float], chance, absent: int) -> None:
    shuffled = [*row, *[float("nan")] * absent]
    chance.shuffle(shuffled)
    plain, other = (estimate(np.array([values]), confidence=0.99, sd_floor=0.01) for values in (row, shuffled))
    assert other.rounds[0] == plain.rounds[0]
    for name in ("median", "mean", "error", "low", "high"):
        assert getattr(other, name)[0] == pytest.approx(getattr(plain, name)[0], abs=1e-9)


@given(ROWS, st.floats(0.5, 0.9999), st.floats(0.5, 0.9999), st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_confidence_or_a_higher_floor_never_narrows_an_interval(
    row: list[float], confidence: float, other_confidence: float, floor: float, other_floor: float
) -> None:
    values = np.array([row])
    few, many = sorted((confidence, other_confidence))
    low, high = sorted((floor, other_floor))
    narrow = estimate(values, confidence=few, sd_floor=low)
    for wide in (estimate(values, confidence=many, sd_floor=low), estimate(values, confidence=few, sd_floor=high)):
        assert wide.low[0] <= narrow.low[0] + 1e-12
        assert wide.high[0] >= narrow.high[0] - 1e-12


@given(ROWS, st.integers(2, 4))
def test_the_same_rounds_over_again_narrow_an_interval(row: list[float], times: int) -> None:
    once = estimate(np.array([row]), confidence=0.99, sd_floor=0.01)
    again = estimate(np.array([row * times]), confidence=0.99, sd_floor=0.01)
    assert again.median[0] == pytest.approx(once.median[0], abs=1e-9)
    assert once.low[0] - 1e-9 <= again.low[0] <= again.high[0] <= once.high[0] + 1e-9
    assert again.error[0] < once.error[0]


@given(ROWS, st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_bound_never_has_a_smaller_p_value(row: list[float], bound: float, other: float) -> None:
    found = estimate(np.array([row]), confidence=0.99, sd_floor=0.01)
    low, high = sorted((bound, other))
    assert p_values(found, low)[0] <= p_values(found, high)[0] + 1e-12
    mirrored = estimate(-np.array([row]), confidence=0.99, sd_floor=0.01)
    if found.median[0]:  # without a direction there is nothing to mirror
        assert p_values(mirrored, bound)[0] == pytest.approx(p_values(found, bound)[0])


def test_p_values_at_the_bound_are_small_no_more_often_than_they_say() -> None:
    rng = np.random.default_rng(8)
    for rounds in (5, 16):
        at_the_bound = p_values(estimate(rng.normal(0.05, 0.04, (40_000, rounds)), confidence=0.99, sd_floor=0.0), 0.05)
        for level in (0.002, 0.01, 0.1):
            assert np.mean(at_the_bound <= level) <= level
        # Doubled, as the direction is the data's choice; here it is nearly always that of the truth.
        assert np.mean(at_the_bound <= 0.1) == pytest.approx(0.05, abs=0.005)


@given(P_VALUES, RATES, RATES, st.randoms(use_true_random=False), st.integers(0, 19), st.floats(0, 1))
def test_benjamini_hochberg_is_monotone_and_blind_to_order(
    p: list[float], rate: float, other_rate: float, chance, which: int, factor: float
) -> None:
    low, high = sorted((rate, other_rate))
    rejected = benjamini_hochberg(np.array(p), low)
    assert (benjamini_hochberg(np.array(p), high) >= rejected).all()
    order = list(range(len(p)))
    chance.shuffle(order)
    assert benjamini_hochberg(np.array(p)[order], low).tolist() == rejected[order].tolist()
    smaller = np.array(p)
    smaller[which % len(p)] *= factor  # more evidence for one pair takes none away from another
    assert (benjamini_hochberg(smaller, low) >= rejected).all()


@given(TRUE_NS, SEEDS, st.integers(2, 1000))
def test_a_slower_machine_changes_no_ratio_and_no_decision(true_ns: list[float], seed: int, factor: int) -> None:
    plain = measured(true_ns, seed)
    slower = [
        replace(
            block, solutions=[replace(one, cpu_ns=[factor * time for time in one.cpu_ns]) for one in block.solutions]
        )
        for block in plain
    ]
    before, after = decide(plain, SCREENING), decide(slower, SCREENING)
    for one, other in zip(before.comparisons, after.comparisons, strict=True):
        assert (other.quick_id, other.slow_id, other.decision) == (one.quick_id, one.slow_id, one.decision)
        assert (other.ratio, other.low, other.high) == pytest.approx((one.ratio, one.low, one.high), rel=1e-9)
    for label, other_label in zip(before.labels, after.labels, strict=True):
        assert other_label.runtime_ns == pytest.approx(factor * label.runtime_ns)
        assert other_label.tier == label.tier


@given(TRUE_NS, SEEDS, st.randoms(use_true_random=False))
def test_neither_the_order_of_blocks_nor_that_of_solutions_changes_anything(
    true_ns: list[float], seed: int, chance
) -> None:
    plain = measured(true_ns, seed)
    turned = [replace(block, solutions=chance.sample(block.solutions, len(true_ns))) for block in plain]
    chance.shuffle(turned)
    assert decide(turned, SCREENING) == decide(plain, SCREENING)


@given(TRUE_NS, SEEDS, st.randoms(use_true_random=False))
def test_names_do_not_change_what_is_decided(true_ns: list[float], seed: int, chance) -> None:
    """Names break ties of medians and nothing else."""
    plain = measured(true_ns, seed)
    names = [f"s{i:03}" for i in range(len(true_ns))]
    other = dict(zip(names, chance.sample(names, len(names)), strict=True))
    renamed = [
        replace(block, solutions=[replace(one, solution_id=other[one.solution_id]) for one in block.solutions])
        for block in plain
    ]
    decided = {(other[one.quick_id], other[one.slow_id], one.decision) for one in decide(plain, SCREENING).comparisons}
    assert {(one.quick_id, one.slow_id, one.decision) for one in decide(renamed, SCREENING).comparisons} == decided


@given(st.floats(1.2, 20), st.booleans(), effects_within(0.01))
def test_a_gap_of_a_fifth_or_more_is_found_whatever_two_per_cent_of_noise_do(
    ratio: float, turned: bool, effects: list[tuple[float, float]]
) -> None:
    """Processes up to 1% off in either direction, as an enemy would choose them."""
    true_ns = [1e6 * ratio, 1e6] if turned else [1e6, 1e6 * ratio]
    (pair,) = decide(disturbed(true_ns, effects), SCREENING).comparisons
    assert pair.decision is Decision.QUICK
    assert (pair.quick_id, pair.slow_id) == (("s001", "s000") if turned else ("s000", "s001"))
    assert pair.low <= pair.ratio <= pair.high
    assert abs(np.log(pair.ratio / ratio)) <= 0.0201


@given(st.floats(1, 2), effects_within(0.045))
def test_no_enemy_within_the_threshold_turns_an_order_around(ratio: float, effects: list[tuple[float, float]]) -> None:
    """A ratio is off by 9% at most, so below the 10% that a decision takes; and so identical ones are never ordered."""
    (pair,) = decide(disturbed([1e6, 1e6 * ratio], effects), SCREENING).comparisons
    if pair.decision is Decision.QUICK:
        assert pair.quick_id == "s000"
        assert ratio >= 1.10 / np.exp(0.0901)


def test_identical_solutions_are_called_different_no_more_often_than_stated() -> None:
    """Four thousand pairs with 6% between processes, at the smallest number of rounds: 0.1% would be four."""
    rng = np.random.default_rng(21)
    decided = 0
    for _ in range(4000):
        (pair,) = decide(blocks([1e4, 1e4], 5, rng, layout=0.06), SCREENING).comparisons
        decided += pair.decision is Decision.QUICK
    assert decided <= 4
