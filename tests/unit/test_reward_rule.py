"""What a completion is worth: bounded, monotone in speed, a failure below any pass, nothing for what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Answer, Comparison, Decision, MergedRow
from harness.reward.rule import (
    MIN_JUDGED,
    Outcome,
    Reference,
    Refusal,
    Rule,
    reference_answer,
    refused,
    speedup,
    too_many,
)
from sandbox import Integrity, Verdict

PASSED = Outcome("0" * 16, Verdict.PASSED, Integrity.STRONG)
RULES = st.builds(Rule, weight=st.floats(0, 10), bound=st.floats(0, 1, exclude_max=True))
SPEEDUPS = st.floats(1e-6, 1e6)
FAILURES = [v for v in Verdict if v not in (Verdict.PASSED, Verdict.INTERNAL)]


def value(rule: Rule, outcome: Outcome) -> float:
    reward = rule.reward(outcome)
    assert reward.refusal is None
    assert reward.value is not None
    return reward.value


@given(RULES, SPEEDUPS, SPEEDUPS)
def test_the_faster_is_worth_no_less(rule: Rule, one: float, other: float) -> None:
    slow, fast = sorted((one, other))
    assert value(rule, replace(PASSED, speedup=slow)) <= value(rule, replace(PASSED, speedup=fast))


@given(RULES, SPEEDUPS, st.sampled_from(FAILURES))
def test_any_pass_is_worth_more_than_any_failure_and_within_the_bound(
    rule: Rule, ratio: float, failure: Verdict
) -> None:
    passing = value(rule, replace(PASSED, speedup=ratio))
    failing = rule.reward(replace(PASSED, verdict=failure, speedup=ratio)).value
    assert failing == 0.0
    assert passing > 0.0
    assert 1 - rule.bound <= passing <= 1 + rule.bound


@given(RULES, SPEEDUPS)
def test_twice_as_fast_weighs_as_much_as_half_as_fast(rule: Rule, ratio: float) -> None:
    gained = value(rule, replace(PASSED, speedup=ratio)) - 1
    assert value(rule, replace(PASSED, speedup=1 / ratio)) - 1 == pytest.approx(-gained, abs=1e-9)


def test_known_rewards() -> None:
    rule = Rule(weight=0.25, bound=0.5)
    worth = {None: 1.0, 1.0: 1.0, 2.0: 1.25, 4.0: 1.5, 100.0: 1.5, 0.5: 0.75, 0.25: 0.5, 0.001: 0.5}
    assert {ratio: value(rule, replace(PASSED, speedup=ratio)) for ratio in worth} == worth
    assert rule.reward(replace(PASSED, sound=False, speedup=4.0)).value == 0.0


@given(RULES, st.sampled_from(list(Verdict)), st.sampled_from(list(Integrity)), st.booleans(), st.none() | SPEEDUPS)
def test_what_is_refused_earns_nothing(
    rule: Rule, verdict: Verdict, integrity: Integrity, sound: bool, ratio: float | None
) -> None:
    outcome = Outcome("0" * 16, verdict, integrity, ratio, sound)
    reward = rule.reward(outcome)
    assert reward.refusal is refused(outcome)
    if reward.refusal is Refusal.VIOLATION:
        assert reward.value == 0.0
    elif reward.refusal is not None:
        assert reward.value is None
    else:
        assert integrity is Integrity.STRONG
        assert reward.passed == (verdict is Verdict.PASSED and sound)
    assert not (reward.passed and reward.refusal)


@pytest.mark.parametrize(
    ("verdict", "integrity", "expected"),
    [
        (Verdict.INTERNAL, Integrity.NONE, Refusal.INTERNAL),
        (Verdict.VIOLATION, Integrity.STRONG, Refusal.VIOLATION),
        (Verdict.VIOLATION, Integrity.WEAK, Refusal.VIOLATION),
        (Verdict.PASSED, Integrity.WEAK, Refusal.WEAK),
        (Verdict.WRONG, Integrity.WEAK, Refusal.WEAK),
        (Verdict.PASSED, Integrity.NONE, Refusal.WEAK),
        (Verdict.WRONG, Integrity.STRONG, None),
    ],
)
def test_why_a_run_is_refused(verdict: Verdict, integrity: Integrity, expected: Refusal | None) -> None:
    assert refused(Outcome("0" * 16, verdict, integrity)) is expected


@pytest.mark.parametrize(
    ("weight", "bound"), [(-0.1, 0.5), (math.nan, 0.5), (math.inf, 0.5), (0.25, 1.0), (0.25, -0.1)]
)
def test_a_rule_that_could_put_a_failure_above_a_pass_is_not_made(weight: float, bound: float) -> None:
    with pytest.raises(ValueError, match="within"):
        Rule(weight, bound)


def test_a_share_of_few_completions_says_nothing() -> None:
    assert not too_many(MIN_JUDGED - 1, MIN_JUDGED - 1, 0.2)
    assert too_many(MIN_JUDGED, MIN_JUDGED, 0.2)
    assert not too_many(20, 100, 0.2)
    assert too_many(21, 100, 0.2)
    assert too_many(1, 100, 0.0)


def pair(quick: str, slow: str, decision: Decision) -> Comparison:
    return Comparison(quick, slow, 2.0, 1.5, 2.5, 5, decision)


def test_speed_counts_only_where_the_order_against_the_reference_is_decided() -> None:
    pairs = [
        pair("quick", "reference", Decision.QUICK),
        pair("reference", "slow", Decision.QUICK),
        pair("close", "reference", Decision.UNDECIDED),
        pair("alike", "reference", Decision.SAME),
        pair("quick", "other", Decision.QUICK),
    ]
    found = {one: speedup(pairs, one, "reference") for one in ("quick", "slow", "close", "alike", "other", "reference")}
    assert found == {"quick": 2.0, "slow": 0.5, "close": None, "alike": None, "other": None, "reference": None}


def row(votes: list[float | None], passing: int) -> MergedRow:
    answers = [Answer(f"a{k}", vote, k, f"{k:016x}", "PASSED", "strong") for k, vote in enumerate(votes)]
    return MergedRow("t", "q", "f", answers, {}, passing, [])


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=9))
def test_the_reference_is_the_middle_or_the_fastest_passing_answer(times: list[float]) -> None:
    found = row([*times, 0.5], passing=len(times))  # one more that is faster than all, and failed
    fastest, median = (reference_answer(found, which) for which in (Reference.FASTEST, Reference.MEDIAN))
    assert fastest is not None
    assert median is not None
    assert fastest.votes == min(times)
    assert sum(t <= (median.votes or 0) for t in times) >= len(times) / 2
    assert sum(t >= (median.votes or 0) for t in times) >= len(times) / 2


def test_without_a_timed_answer_there_is_no_reference() -> None:
    assert reference_answer(row([None, 5.0], passing=1), Reference.MEDIAN) is None
    assert reference_answer(row([], passing=0), Reference.FASTEST) is None
