"""What is measured next: all of it at first, then only what may still be decided, then what must be confirmed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_blocks import blocks

from harness.records import MeasurementBlock
from harness.timing.decisions import CONFIRM_FROM, DecisionSettings
from harness.timing.rounds import MAX_TRIES, Step, next_step

CONFIRMING = DecisionSettings(confirm_rounds=3)
SCREENING = DecisionSettings(confirm_rounds=0)


def follow(
    true: dict[str, float], settings: DecisionSettings, rng: np.random.Generator | None = None, **noise: float
) -> tuple[list[Step], list[MeasurementBlock]]:
    steps: list[Step] = []
    measured: list[MeasurementBlock] = []
    while (step := next_step(measured, true, settings)) is not None:
        assert len(steps) < 200, "no end"
        steps.append(step)
        measured += blocks(
            {one: true[one] for one in step.solution_ids}, 1, rng, first_round=step.round, **noise
        )
    return steps, measured


def test_a_wide_gap_takes_the_least_rounds_and_its_confirmation() -> None:
    steps, _ = follow({"a": 100.0, "b": 130.0}, CONFIRMING)
    assert [step.round for step in steps] == [*range(5), *range(CONFIRM_FROM, CONFIRM_FROM + 3)]
    assert [step.confirms for step in steps] == [False] * 5 + [True] * 3
    assert {step.solution_ids for step in steps} == {("a", "b")}


def test_what_is_the_same_needs_no_more_and_nothing_to_confirm() -> None:
    assert len(follow({"a": 100.0, "b": 101.0}, CONFIRMING)[0]) == 5
    assert len(follow({"a": 100.0}, CONFIRMING)[0]) == 5


def test_one_solution_without_a_rival_is_measured_for_its_label() -> None:
    assert next_step(blocks({"a": 100.0}, 4), ["a"], CONFIRMING) == Step(4, ("a",))


def test_further_rounds_hold_only_those_that_may_still_be_decided() -> None:
    true = {"a": 100.0, "b": 112.0, "far": 900.0, "far too": 2_000.0}
    steps, measured = follow(true, replace(CONFIRMING, max_rounds=16), np.random.default_rng(3), layout=0.06)
    further = [step for step in steps if 5 <= step.round < CONFIRM_FROM]
    assert further
    assert {step.solution_ids for step in further} == {("a", "b")}
    seen = [{one.solution_id for one in block.solutions} for block in measured]
    assert seen[:5] == [set(true)] * 5


def test_only_decided_pairs_are_confirmed() -> None:
    steps, _ = follow({"a": 100.0, "b": 101.0, "c": 200.0}, CONFIRMING)
    assert steps[-1].solution_ids == ("a", "b", "c")
    steps, _ = follow({"a": 100.0, "b": 106.0, "c": 112.0}, CONFIRMING)
    assert steps[-1].solution_ids == ("a", "c")


def test_rounds_end() -> None:
    rng = np.random.default_rng(5)
    steps, measured = follow({"a": 100.0, "b": 112.0}, SCREENING, rng, layout=0.3)
    assert len(steps) == SCREENING.max_rounds == len(measured)
    most = MAX_TRIES * SCREENING.max_rounds
    spoilt = blocks([1.0, 2.0], most - 1, contaminated=True)
    assert next_step(spoilt, ["s000", "s001"], SCREENING) == Step(most - 1, ("s000", "s001"))
    spoilt += blocks([1.0, 2.0], 1, first_round=most - 1, contaminated=True)
    assert next_step(spoilt, ["s000", "s001"], SCREENING) is None


def test_more_tries_are_for_a_run_that_still_has_time() -> None:
    most = MAX_TRIES * SCREENING.max_rounds
    spoilt = blocks([1.0, 2.0], most, contaminated=True)
    assert next_step(spoilt, ["s000", "s001"], SCREENING, tries=MAX_TRIES + 1) == Step(most, ("s000", "s001"))
    assert next_step(spoilt, ["s000", "s001"], SCREENING, tries=MAX_TRIES + 1, hurry=True) is None
    assert next_step(spoilt[:-1], ["s000", "s001"], SCREENING, tries=MAX_TRIES - 1) is None
    measured = blocks([100.0, 200.0], 5)
    measured += blocks([100.0, 200.0], MAX_TRIES * 3, first_round=CONFIRM_FROM, contaminated=True)
    again = Step(CONFIRM_FROM + MAX_TRIES * 3, ("s000", "s001"))
    assert next_step(measured, ["s000", "s001"], CONFIRMING, tries=MAX_TRIES + 1) == again
    assert next_step(measured, ["s000", "s001"], CONFIRMING, tries=MAX_TRIES + 1, hurry=True) is None


def test_contaminated_rounds_are_repeated() -> None:
    measured = blocks([100.0, 200.0], 4) + blocks([900.0, 100.0], 1, first_round=4, contaminated=True)
    assert next_step(measured, ["s000", "s001"], SCREENING) == Step(5, ("s000", "s001"))
    measured += blocks([100.0, 200.0], 1, first_round=5)
    measured += blocks([100.0, 200.0], 1, first_round=CONFIRM_FROM, contaminated=True)
    assert next_step(measured, ["s000", "s001"], CONFIRMING) == Step(CONFIRM_FROM + 1, ("s000", "s001"))
    measured += blocks([100.0, 200.0], MAX_TRIES * 3 - 1, first_round=CONFIRM_FROM + 1, contaminated=True)
    assert next_step(measured, ["s000", "s001"], CONFIRMING) is None


@pytest.mark.parametrize("flag", ["failed:TIMEOUT_CPU", "results_differ", "not_timed: over the time budget"])
def test_what_cannot_be_compared_is_measured_no_more(flag: str) -> None:
    measured = blocks({"a": 100.0, "b": 130.0, "c": 170.0}, 1, flags={"b": [flag]})
    assert next_step(measured, "abc", SCREENING) == Step(1, ("a", "c"))
    everything = blocks({"a": 100.0}, 1, flags={"a": [flag]})
    assert next_step(everything, "a", SCREENING) is None


def test_used_up_time_ends_the_search_for_close_pairs_but_not_the_confirmation() -> None:
    rng = np.random.default_rng(5)
    close = blocks({"a": 100.0, "b": 112.0, "c": 300.0}, 5, rng, layout=0.1)
    assert next_step(close, "abc", CONFIRMING) == Step(5, ("a", "b"))
    dear = [replace(block, seconds=0.61) for block in close]  # 5 blocks: more than 1 s for each of the three
    assert next_step(dear, "abc", CONFIRMING) == next_step(close, "abc", CONFIRMING, hurry=True)
    assert next_step(dear, "abc", CONFIRMING) == Step(CONFIRM_FROM, ("a", "b", "c"))


@given(
    st.lists(st.floats(1e3, 1e5), min_size=1, max_size=8), st.integers(0, 2**32), st.floats(0.0, 0.3), st.booleans()
)
def test_it_always_ends_and_asks_for_known_solutions_only(
    true: list[float], seed: int, layout: float, confirm: bool
) -> None:
    named = {f"s{i}": t for i, t in enumerate(true)}
    settings = CONFIRMING if confirm else SCREENING
    steps, _ = follow(named, settings, np.random.default_rng(seed), layout=layout)
    most = settings.max_rounds + MAX_TRIES * settings.confirm_rounds
    assert len({step.round for step in steps}) == len(steps) <= most
    for step in steps:
        assert step.solution_ids
        assert set(step.solution_ids) <= set(named)
        assert list(step.solution_ids) == sorted(set(step.solution_ids))
