"""Decisions on made-up measurements whose truth is known: no false order, large gaps found, flags and rounds obeyed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_blocks import blocks

from harness.records import Decision, MeasurementBlock, ProblemLabels
from harness.timing import decisions
from harness.timing.decisions import CONFIRM_FROM, DecisionSettings
from harness.timing.rounds import next_step

CONFIRMING = DecisionSettings(confirm_rounds=5)
SCREENING = DecisionSettings(confirm_rounds=0)


def decide(measured: Sequence[MeasurementBlock], settings: DecisionSettings = SCREENING) -> ProblemLabels:
    return decisions.decide(measured, settings)


def only(labels: ProblemLabels) -> Decision:
    (comparison,) = labels.comparisons
    return comparison.decision


def measure(
    true: list[float], rng: np.random.Generator, settings: DecisionSettings, **noise: float
) -> list[MeasurementBlock]:
    """Measure as the annotation does: round after round until nothing is left to decide."""
    measured: list[MeasurementBlock] = []
    named = {f"s{i:03}": t for i, t in enumerate(true)}
    while (step := next_step(measured, named, settings)) is not None:
        measured += blocks({one: named[one] for one in step.solution_ids}, 1, rng, first_round=step.round, **noise)
    return measured


def test_identical_solutions_are_not_ordered() -> None:
    rng = np.random.default_rng(11)
    compared = ordered = 0
    for _ in range(40):  # 30 identical solutions: the best of them looks much faster by luck
        for comparison in decide(blocks([10_000.0] * 30, 5, rng)).comparisons:
            compared += 1
            ordered += comparison.decision is Decision.QUICK
    assert compared == 40 * 30 * 29 / 2
    assert ordered <= compared * 0.001


def test_looking_after_every_round_does_not_order_identical_solutions() -> None:
    rng = np.random.default_rng(12)
    decisions = [only(decide(measure([10_000.0, 10_000.0], rng, DecisionSettings()))) for _ in range(300)]
    assert decisions.count(Decision.QUICK) <= 1
    assert Decision.SAME in decisions


@pytest.mark.parametrize(("gap", "noise", "share"), [(1.2, 0.01, 0.97), (1.2, 0.02, 0.97), (1.15, 0.02, 0.9)])
def test_gaps_are_found_in_the_right_order(gap: float, noise: float, share: float) -> None:
    rng = np.random.default_rng(13)
    found = 0
    for _ in range(150):
        measured = measure([10_000.0, 10_000.0 * gap], rng, DecisionSettings(), noise=noise)
        (comparison,) = decide(measured).comparisons
        if comparison.decision is Decision.QUICK:
            assert comparison.quick_id == "s000"
            assert comparison.low > 1.05
            assert comparison.ratio >= 1.10
            found += 1
    assert found >= share * 150


def test_confirmed_gaps_are_found_and_never_reversed() -> None:
    rng = np.random.default_rng(14)
    truth = [10_000.0 * 1.03**i for i in range(12)]
    right = wrong = wide = 0
    for _ in range(15):
        for comparison in decide(measure(truth, rng, CONFIRMING), CONFIRMING).comparisons:
            quick, slow = int(comparison.quick_id[1:]), int(comparison.slow_id[1:])
            wide += abs(slow - quick) >= 6  # true gap of 19% or more
            if comparison.decision is Decision.QUICK:
                right += slow - quick >= 6
                wrong += slow < quick
    assert wrong == 0
    assert right >= 0.95 * wide


def test_ratio_interval_and_labels_without_noise() -> None:
    labels = decide(blocks({"b": 150.0, "a": 100.0, "c": 151.0}, 5))
    assert [(label.solution_id, label.tier, label.rounds) for label in labels.labels] == [
        ("a", 0, 5),
        ("b", 1, 5),
        ("c", 1, 5),
    ]
    assert labels.labels[0].runtime_ns == pytest.approx(100)
    assert all(label.low_ns < label.runtime_ns < label.high_ns for label in labels.labels)
    found = {(c.quick_id, c.slow_id): c for c in labels.comparisons}
    assert found["a", "b"].ratio == pytest.approx(1.5)
    assert found["a", "b"].decision is Decision.QUICK
    assert found["b", "c"].decision is Decision.SAME
    assert found["b", "c"].low < 1 < found["b", "c"].high


@pytest.mark.parametrize(
    ("gap", "decision"),
    [(1.09, Decision.UNDECIDED), (1.11, Decision.QUICK), (1.06, Decision.UNDECIDED), (1.01, Decision.SAME)],
)
def test_thresholds(gap: float, decision: Decision) -> None:
    assert only(decide(blocks([1e6, 1e6 * gap], 8))) is decision
    assert only(decide(blocks([1e6 * gap, 1e6], 8))) is decision  # whatever the order of the ids


def test_too_few_rounds_decide_nothing() -> None:
    for rounds in range(1, 5):
        labels = decide(blocks([100.0, 900.0], rounds))
        assert only(labels) is Decision.UNDECIDED
        assert labels.comparisons[0].rounds == rounds
    assert only(decide(blocks([100.0, 900.0], 5))) is Decision.QUICK


def test_contaminated_rounds_count_for_nothing() -> None:
    good, bad = blocks([100.0, 200.0], 4), blocks([900.0, 100.0], 12, first_round=4, contaminated=True)
    labels = decide(good + bad)
    assert only(labels) is Decision.UNDECIDED
    assert labels.labels[0].runtime_ns == pytest.approx(100)


@pytest.mark.parametrize(
    "flag", ["results_differ", "judged_dearer", "threads", "children", "waits", "failed:TIMEOUT_CPU"]
)
def test_flagged_solutions_are_compared_with_nobody(flag: str) -> None:
    flagged = blocks([100.0, 200.0, 400.0], 1, flags={"s000": [flag, "noisy"]}) + blocks(
        [100.0, 200.0, 400.0], 5, first_round=1
    )
    labels = decide(flagged)
    assert labels.labels[0].flags == ["noisy", flag] if flag > "noisy" else [flag, "noisy"]
    decided = {(c.quick_id, c.slow_id) for c in labels.comparisons if c.decision is Decision.QUICK}
    assert decided == {("s001", "s002")}
    assert len(labels.comparisons) == 3


def first_passes(measured: list[MeasurementBlock], first_ns: dict[str, float]) -> list[MeasurementBlock]:
    return [
        replace(
            block,
            solutions=[replace(one, first_ns=int(first_ns[one.solution_id])) for one in block.solutions],
        )
        for block in measured
    ]


def test_one_that_memoises_is_compared_by_first_passes_with_all_and_the_others_are_not() -> None:
    """Later passes say that `a` is ten times as fast; it has its results from the first, which takes twice as long."""
    measured = blocks({"a": 20_000.0, "b": 200_000.0, "c": 300_000.0}, 5, flags={"a": ["memoises"]})
    labels = decide(first_passes(measured, {"a": 400_000, "b": 210_000, "c": 220_000}))
    found = {(pair.quick_id, pair.slow_id): pair for pair in labels.comparisons}
    assert found["b", "a"].decision is Decision.QUICK
    assert found["b", "a"].ratio == pytest.approx(400 / 210)
    assert found["c", "a"].ratio == pytest.approx(400 / 220)
    assert found["b", "c"].ratio == pytest.approx(1.5)
    assert {label.solution_id: label.runtime_ns for label in labels.labels}["a"] == pytest.approx(400_000)


def test_first_passes_too_short_to_say_anything_decide_nothing() -> None:
    measured = blocks({"a": 20.0, "b": 200.0}, 5, flags={"a": ["memoises"]})
    short = decide(first_passes(measured, {"a": 9_000, "b": 49_000}))
    assert (only(short), short.comparisons[0].rounds) == (Decision.UNDECIDED, 0)


def test_other_flags_do_not_matter() -> None:
    assert only(decide(blocks([100.0, 200.0], 5, flags={"s000": ["noisy"]}))) is Decision.QUICK


def test_a_solution_called_unlike_the_others_is_left_out() -> None:
    labels = decide(blocks([100.0, 200.0, 400.0], 5, digests={"s002": "other"}))
    assert [label.flags for label in labels.labels] == [[], [], ["calls_differ"]]
    assert [c.decision for c in labels.comparisons].count(Decision.QUICK) == 1
    tie = decide(blocks([100.0, 200.0], 5, digests={"s001": "other"}))
    assert only(tie) is Decision.UNDECIDED
    changing = blocks([100.0, 200.0], 4) + blocks([100.0, 200.0], 1, first_round=4, digests={"s001": "other"})
    assert only(decide(changing)) is Decision.UNDECIDED


def test_a_solution_without_timings_has_no_label() -> None:
    measured = [
        replace(block, solutions=[block.solutions[0], replace(block.solutions[1], cpu_ns=[], flags=["failed:WRONG"])])
        for block in blocks([100.0, 200.0], 5)
    ]
    labels = decide(measured)
    assert [label.solution_id for label in labels.labels] == ["s000"]
    assert labels.comparisons == []


def test_solutions_that_never_met_are_undecided() -> None:
    apart = blocks({"a": 100.0}, 6) + blocks({"b": 900.0}, 6, first_round=6)
    comparison = decide(apart).comparisons[0]
    assert (comparison.decision, comparison.rounds) == (Decision.UNDECIDED, 0)
    assert comparison.low < 1 < comparison.high


def test_blocks_of_one_problem_only() -> None:
    with pytest.raises(ValueError, match="one problem"):
        decide([])
    with pytest.raises(ValueError, match="one problem"):
        decide(blocks([1.0], 1, task_id="a") + blocks([1.0], 1, task_id="b"))


def test_a_narrow_decision_does_not_stand_among_many_comparisons() -> None:
    """Alone its p is just below 1%; among 45 pairs the best p must be below 0.02%."""
    alone, among = [], []
    for number, step in enumerate([-1.0, -0.5, 0.0, 0.5, 1.0]):
        pair = {"a": 1e6, "b": 1e6 * float(np.exp(0.15 + 0.0596 * step))}
        wild = {f"c{i}": 1e6 * float(np.exp((-1) ** (number + i) * (0.3 + 0.05 * i))) for i in range(8)}
        alone += blocks(pair, 1, first_round=number)
        among += blocks({**pair, **wild}, 1, first_round=number)
    assert only(decide(alone)) is Decision.QUICK
    assert Decision.QUICK not in {comparison.decision for comparison in decide(among).comparisons}


def test_confirmation_must_see_the_order_again() -> None:
    screen = blocks([100.0, 130.0], 5)
    seen = blocks([100.0, 130.0], 5, first_round=CONFIRM_FROM)
    unseen = blocks([100.0, 101.0], 5, first_round=CONFIRM_FROM)
    assert only(decide(screen)) is Decision.QUICK
    assert only(decide(screen, CONFIRMING)) is Decision.UNDECIDED  # asked for, not there
    assert only(decide(screen + seen, CONFIRMING)) is Decision.QUICK
    assert [decide(measured).comparisons[0].confirmed for measured in (screen, screen + seen, screen + unseen)] == [
        False,
        True,
        False,
    ]
    assert only(decide(screen + unseen, CONFIRMING)) is Decision.UNDECIDED
    assert only(decide(screen + unseen)) is Decision.UNDECIDED  # there, so it counts
    shrunk = blocks([100.0, 106.0], 5, first_round=CONFIRM_FROM)  # seen again, but no longer 1.10 in all
    assert only(decide(blocks([100.0, 111.0], 5) + shrunk)) is Decision.UNDECIDED
    assert only(decide(blocks([100.0, 101.0], 5) + seen)) is not Decision.QUICK  # it can't decide anything itself


@given(st.lists(st.floats(1e3, 1e5), min_size=1, max_size=12), st.integers(0, 2**32), st.integers(1, 8))
def test_tiers_respect_runtimes_and_decided_pairs(true: list[float], seed: int, rounds: int) -> None:
    rng = np.random.default_rng(seed)
    measured = [  # with solutions missing here and there
        replace(block, solutions=[timing for timing in block.solutions if rng.random() > 0.1])
        for block in blocks(true, rounds, rng, layout=0.1)
    ]
    labels = decide(measured)
    tier = {label.solution_id: label.tier for label in labels.labels}
    runtimes = [label.runtime_ns for label in labels.labels]
    assert runtimes == sorted(runtimes)
    assert list(tier.values()) == sorted(tier.values())
    assert set(tier.values()) == set(range(len(set(tier.values()))))
    assert len(labels.comparisons) == len(tier) * (len(tier) - 1) // 2
    for comparison in labels.comparisons:
        assert comparison.ratio >= 1
        assert comparison.low <= comparison.ratio <= comparison.high
        if comparison.decision is Decision.QUICK:
            assert tier[comparison.quick_id] < tier[comparison.slow_id]


def test_the_order_of_blocks_and_solutions_does_not_matter() -> None:
    measured = blocks([100.0, 117.0, 140.0, 141.0], 6, np.random.default_rng(1))
    turned = [replace(block, solutions=block.solutions[::-1]) for block in measured[::-1]]
    assert decide(measured) == decide(turned)


def test_sixty_solutions_take_little_time() -> None:
    measured = blocks([1e4 * 1.02**i for i in range(60)], 16, np.random.default_rng(2))
    decide(measured)
    spent = []
    for _ in range(5):
        begin = time.process_time()
        decide(measured)
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.05
