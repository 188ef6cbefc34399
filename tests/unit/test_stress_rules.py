"""Agreement, growth, the ladder of sizes, and what is timed and reported: all pure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.annotation.settings import AnnotationSettings
from harness.records import (
    Comparison,
    Decision,
    ExecutionRow,
    FinishReason,
    Problem,
    ProblemLabels,
    RuntimeLabel,
    Sample,
    TimingInputs,
)
from harness.store import write_rows
from harness.stress.agreement import DISAGREE, KEPT, RAISES, hardest, judge_input
from harness.stress.asking import MARK, Answer, Answers, asking_test, expecting_test, read_answers
from harness.stress.growth import fit_growth, fitted_sizes
from harness.stress.probing import next_step, probe
from harness.stress.records import StressDissent, StressInput, StressInputs, StressSize, StressStop
from harness.stress.results import last_sizes, result, timing_id, timing_plan
from harness.stress.settings import StressSettings
from harness.stress.stage import solutions_to_stress
from sandbox import Execution, Integrity, Termination, Verdict


def answers(*digests: str) -> dict[str, Answer]:
    """`!X` raises X."""
    return {
        f"s{number}": Answer(raised=digest[1:]) if digest.startswith("!") else Answer(digest, 1)
        for number, digest in enumerate(digests)
    }


# ---- agreement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_answers", "outcome", "dissenters"),
    [
        (("a",), KEPT, 0),
        (("a", "a"), KEPT, 0),
        (("a", "b"), DISAGREE, 0),
        (("a",) * 8 + ("b",), DISAGREE, 0),  # 8 of 9 are less than 90%
        (("a",) * 9 + ("b",), KEPT, 1),
        (("a",) * 9 + ("!ZeroDivisionError",), KEPT, 1),
        (("a", "a", "!ValueError", "!ValueError"), RAISES, 0),
        (("!ValueError", "!TypeError"), RAISES, 0),
        (("a", "a", "a", "!ValueError"), DISAGREE, 0),
    ],
)
def test_agreement(given_answers: tuple[str, ...], outcome: str, dissenters: int):
    judged = judge_input(answers(*given_answers))
    assert judged.outcome == outcome
    assert len(judged.dissent) == dissenters


@given(st.lists(st.sampled_from("aab!"), min_size=1, max_size=30), st.randoms())
def test_agreement_does_not_depend_on_order_and_never_drops_more_than_a_tenth(said: list[str], rng: random.Random):
    told = answers(*said)
    judged = judge_input(told)
    shuffled = list(told.items())
    rng.shuffle(shuffled)
    assert judge_input(dict(shuffled)).outcome == judged.outcome
    assert len(judged.dissent) <= len(told) / 10


def test_the_hardest_inputs_are_those_that_take_each_solution_longest():
    noise = [80_000, 81_000, 99_000, 82_000]
    quick = [80_000, 180_000, 90_000, 190_000]
    slow = [1_000_000, 9_000_000, 9_500_000, 8_000_000]
    times = {"constant": noise, "quick": quick, "slow": slow}
    assert hardest(times, [0, 1, 2, 3], 2) == [1, 3]
    assert hardest(times, [0, 1, 2, 3], 4) == [1, 2, 3]  # the first is an early exit
    assert hardest(times, [0, 2], 2) == [2]
    assert hardest({"constant": noise}, [0, 1, 2, 3], 2) == [0, 1]


# ---- growth ----------------------------------------------------------------------------------------------------------

SIZES = [64, 256, 1_024, 4_096, 16_384]


@pytest.mark.parametrize(
    ("law", "exponent", "name"),
    [
        (lambda n: 500.0, 0.0, "constant"),
        (lambda n: 40 * math.sqrt(n), 0.5, "square root"),
        (lambda n: 30 * n, 1.0, "linear"),
        (lambda n: 3 * n**2, 2.0, "quadratic"),
        (lambda n: 0.1 * n**3, 3.0, "cubic"),
    ],
)
def test_growth_of_power_laws(law: Callable[[float], float], exponent: float, name: str):
    rng = random.Random(1)
    growth = fit_growth([(n, law(n) * math.exp(rng.gauss(0, 0.02))) for n in SIZES])
    assert growth is not None
    assert growth.low <= exponent <= growth.high
    assert growth.high - growth.low < 0.2
    assert name in growth.laws


def test_n_log_n_is_not_told_apart_from_what_it_looks_like():
    growth = fit_growth([(n, n * math.log(n)) for n in SIZES])
    assert growth is not None
    assert "n log n" in growth.laws
    assert "quadratic" not in growth.laws


def test_exponential_growth_is_seen_from_three_sizes():
    growth = fit_growth([(n, 200 * 1.618**n) for n in (10, 14, 20)])
    cubic = fit_growth([(n, 20 * n**3.0) for n in (10, 14, 20, 28)])
    assert growth is not None
    assert cubic is not None
    assert growth.laws == ("exponential",)
    assert cubic.laws == ("cubic",)


@pytest.mark.parametrize(
    ("sizes", "fitted"),
    [
        ([8, 16, 32, 64, 128, 256], [32, 64, 128, 256]),
        ([8, 32, 128, 181, 256, 362], [8, 32, 181, 362]),
        ([10, 14, 20], [10, 14, 20]),
        ([5, 10, 14, 20, 28], [5, 14, 28]),
        ([10, 12, 14, 16, 18], [12, 14, 16, 18]),
    ],
)
def test_fitted_sizes_lie_apart_where_there_are_enough(sizes: list[float], fitted: list[float]):
    assert fitted_sizes(sizes) == fitted


def test_growth_needs_three_sizes():
    assert fit_growth([(1, 5.0), (2, 9.0)]) is None


def test_scatter_widens_the_interval():
    quiet = fit_growth([(n, 10 * n) for n in SIZES])
    wild = fit_growth([(n, 10 * n * (3 if n % 3 else 1)) for n in (64, 255, 1_024, 4_095)])
    assert quiet is not None
    assert wild is not None
    assert wild.high - wild.low > 5 * (quiet.high - quiet.low)


# ---- questions and answers -------------------------------------------------------------------------------------------


def asked(functions: Mapping[str, Callable[..., Any]], test: str, ids: Sequence[str], count: int) -> dict[str, Answers]:
    """What our own functions say to an asking test, which is our own text, too."""
    told = {}
    for one in ids:
        namespace: dict[str, Any] = {}
        exec(test, namespace)
        verdict, message = Verdict.PASSED, ""
        try:
            namespace["check"](functions[one])
        except AssertionError as error:
            verdict, message = Verdict.WRONG, f"AssertionError: {error}"
        run = Execution(verdict, Integrity.STRONG, Termination.COMPLETED, message=message, cpu_ns=3_000_000)
        told[one] = read_answers(run, count)
    return told


def raising(error: Exception) -> Callable[..., Any]:
    def function(*_: Any) -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, True, True), (2, 2.0, True), (0.1 + 0.2, 0.3, True), (0.1, 0.2, False), ([1, 2], (1, 2), False),
        ({1, 2}, {2, 1}, True), ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, True), ("1", 1, False), (None, 0, False),
        ([[1], [2]], [[1, 2]], False), ("a,b", ["a", "b"], False), (["a", "b"], ["a,b"], False),
        (float("inf"), float("-inf"), False), ({1: {2}}, {1: frozenset({2})}, True),
    ],
)  # fmt: skip
def test_digests_are_equal_where_values_are(left: Any, right: Any, same: bool):
    functions = {"left": lambda _: left, "right": lambda _: right}
    told = asked(functions, asking_test([(1,)]), ["left", "right"], 1)
    assert (told["left"].answers[0].digest == told["right"].answers[0].digest) is same
    test = expecting_test([(1,)], [told["left"].answers[0].digest])
    namespace: dict[str, Any] = {}
    exec(test, namespace)
    if same:
        namespace["check"](functions["right"])
    else:
        with pytest.raises(AssertionError):
            namespace["check"](functions["right"])


def test_what_is_raised_is_told_and_limits_stop_a_solution():
    turns = iter(range(99))
    functions = {
        "wrong": raising(ValueError("no")), "deep": raising(RecursionError("too deep")), "odd": lambda _: object(),
        "good": lambda n: n, "unstable": lambda n: next(turns),
    }  # fmt: skip
    told = asked(functions, asking_test([(1,), (2,)]), list(functions), 2)
    assert [answer.raised for answer in told["wrong"].answers] == ["ValueError"] * 2
    assert told["deep"].stopped == "RecursionError"
    assert told["odd"].answers[0].raised == "?TypeError"
    assert {answer.raised for answer in told["unstable"].answers} == {"?unstable"}
    assert not told["good"].stopped
    assert told["good"].answers[0].digest != told["good"].answers[1].digest


def test_the_wrapper_is_put_around_results():
    functions = {"list": lambda _: [2, 1], "tuple": lambda _: (1, 2)}
    told = asked(functions, asking_test([(1,)], "sorted"), list(functions), 1)
    assert told["list"].answers[0].digest == told["tuple"].answers[0].digest


@pytest.mark.parametrize(
    "run",
    [
        Execution(Verdict.TIMEOUT_CPU, Integrity.STRONG, Termination.CPU_LIMIT),
        Execution(Verdict.PASSED, Integrity.STRONG, Termination.COMPLETED),
        Execution(Verdict.ERROR, Integrity.STRONG, Termination.COMPLETED, message=f"AssertionError: {MARK} 0:1"),
        Execution(Verdict.WRONG, Integrity.WEAK, Termination.COMPLETED, message=f"AssertionError: {MARK} 0:1"),
        Execution(Verdict.WRONG, Integrity.STRONG, Termination.COMPLETED, message=f"AssertionError: {MARK} 0:1 0:1"),
        Execution(Verdict.WRONG, Integrity.STRONG, Termination.COMPLETED, message="AssertionError: 0:1"),
    ],
)
def test_only_the_tests_own_word_is_an_answer(run: Execution):
    told = read_answers(run, 1)
    assert told.answers == ()
    assert told.stopped


def test_too_many_inputs_for_one_message_are_refused():
    with pytest.raises(ValueError, match="at most"):
        asking_test([(1,)] * 25)
    with pytest.raises(ValueError, match="answers"):
        expecting_test([(1,)], [])


# ---- the ladder ------------------------------------------------------------------------------------------------------

LISTS = "def check(candidate):\n    assert candidate([3, 1, 2]) == 1\n    assert candidate([5, 5, 7, 9]) == 5\n"
NUMBERS = "def check(candidate):\n    assert candidate(10) == 55\n    assert candidate(12) == 144\n"


def probed(test: str, functions: Mapping[str, Callable[..., Any]], cost: Callable[[str, int], float]) -> StressInputs:
    """cost: ns a call of a solution at a size; more than a second is a timeout."""
    settings = StressSettings()

    def ask(text: str, ids: Sequence[str], count: int) -> dict[str, Answers]:
        told = asked(functions, text, ids, count)
        sizes: list[int] = []
        asked({"size": lambda value: sizes.append(len(value) if isinstance(value, list) else value)}, text, ["size"], 1)
        for one, own in told.items():
            ns = cost(one, max(sizes)) * count
            timeout = Answers(stopped="TIMEOUT_CPU", cpu_ns=10**9)
            told[one] = timeout if ns > 1e9 else Answers(own.answers, own.stopped, int(ns) + 2_000_000)
        return told

    return probe("t", test, sorted(functions), ask, settings)


def test_quick_solutions_climb_to_the_largest_size():
    found = probed(LISTS, {"a": min, "b": lambda values: sorted(values)[0]}, lambda one, n: 50.0 * n)
    assert found.axis == "length"
    assert found.sizes[-1].size == StressSettings().most_size
    assert found.stops == []
    assert all(size.solutions == ["a", "b"] and 1 <= len(size.timed) <= 3 for size in found.sizes)


def test_a_slow_solution_stops_and_the_others_go_on():
    costs = {"quick": lambda n: 30.0 * n, "also": lambda n: 40.0 * n, "square": lambda n: 50.0 * n * n}
    found = probed(LISTS, dict.fromkeys(costs, min), lambda one, n: costs[one](n))
    (stop,) = found.stops
    assert (stop.solution_id, stop.why) == ("square", "budget")
    last = last_sizes(found)
    assert last["square"] == stop.size < last["quick"] == last["also"] == 4_096
    assert 50.0 * stop.size**2 > StressSettings().call_ns


def test_exponential_growth_is_seen_at_three_sizes_before_it_is_left_behind():
    def linear(n: int) -> int:
        return n * 7

    found = probed(
        NUMBERS, {"tree": linear, "loop": linear, "formula": linear},
        lambda one, n: 100 * 1.618 ** min(n, 99) if one == "tree" else 20.0 * n,
    )  # fmt: skip
    assert sum("tree" in size.solutions for size in found.sizes) >= 3
    assert found.stops[0].solution_id == "tree"
    assert last_sizes(found)["loop"] > 10_000


def test_a_solution_that_is_right_on_small_inputs_only_is_named_and_left_out():
    functions: dict[str, Callable[..., Any]] = {f"good{number}": min for number in range(10)}
    functions["bad"] = lambda values: min(values[:20])
    found = probed(LISTS, functions, lambda one, n: 10.0 * n)
    (dissent,) = found.dissents
    assert dissent.solution_id == "bad"
    assert "bad" not in last_sizes(found)
    assert dissent.arguments.startswith("([")
    assert found.sizes[-1].size == 4_096


def test_inputs_that_two_solutions_disagree_on_are_dropped():
    functions = {"min": min, "near": lambda values: min(values) + (sum(values) % 2)}
    found = probed(LISTS, functions, lambda one, n: 10.0 * n)
    assert {one.outcome for size in found.sizes for one in size.inputs} >= {"timed", "disagree"}
    assert found.dissents == []


def test_out_of_domain_inputs_leave_nothing():
    found = probed(NUMBERS, {"a": raising(ValueError("x")), "b": raising(ValueError("x"))}, lambda one, n: 1.0)
    assert found.sizes == []
    assert found.why == "no input that is agreed on"


@pytest.mark.parametrize(
    ("test", "ids", "why"),
    [
        ("def check(c):\n    assert c(f())\n", ["a", "b"], "no call of literals"),
        (LISTS, ["a"], "fewer than two solutions"),
        ("def check(c):\n    assert c(True)\n", ["a", "b"], "nothing that grows"),
    ],
)
def test_problems_without_stress_inputs_say_why(test: str, ids: list[str], why: str):
    assert probe("t", test, ids, lambda *_: pytest.fail("nobody is to be asked"), StressSettings()).why == why


def test_steps_leave_room_for_quadratic_growth():
    assert next_step(1.0, 1e7) == 4
    assert next_step(2e6, 1e7) == 2
    assert next_step(9e6, 1e7) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"keep": 13}, {"draws": 25}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match="wanted"):
        StressSettings(**wrong)


# ---- what is timed, what is reported ---------------------------------------------------------------------------------


def size_of(size: int, *solutions: str) -> StressSize:
    return StressSize(size, float(size), sorted(solutions), [StressInput(0, "timed", "([1],)", "d")])


def inputs_of(*sizes: StressSize, **more: Any) -> StressInputs:
    return StressInputs("t", "of", "length", 4, "", "", list(sizes), **more)


def labels_of(task_id: str, times: Mapping[str, float], decision: Decision = Decision.QUICK) -> ProblemLabels:
    ids = sorted(times, key=lambda one: times[one])
    labels = [RuntimeLabel(one, times[one], times[one], times[one], 5, 0) for one in ids]
    pairs = [
        Comparison(ids[i], ids[j], times[ids[j]] / times[ids[i]], 1.2, 99.0, 5, decision, True)
        for i in range(len(ids))
        for j in range(i + 1, len(ids))
    ]
    return ProblemLabels(task_id, labels, pairs)


def test_inputs_grow_from_the_own_test_whatever_the_folder_was_timed_on(tmp_path: Path):
    one = Problem("t", "def f(a):\n", LISTS, "f", "test", "made", held_out="def check(c): pass")
    samples = [Sample("t", number, "m", f"    return {number}\n", FinishReason.EOS) for number in range(3)]
    rows = [
        ExecutionRow("t", number, "m", f"s{number}", verdict, "strong", "", "completed", "", 1, 1, 1, 0)
        for number, verdict in enumerate(("PASSED", "PASSED", "WRONG"))
    ]
    write_rows(tmp_path / "samples.jsonl", samples)
    write_rows(tmp_path / "executions.jsonl", rows)
    (state,) = solutions_to_stress([one], tmp_path, AnnotationSettings(timing_inputs=TimingInputs.PLUS))
    assert state.problem.test == LISTS
    assert sorted(state.completions) == ["s0", "s1"]


def test_pairs_are_decided_where_somebody_ends_and_growth_takes_the_largest_sizes():
    sizes = [size_of(size, "a", "b", *(["slow"] if size <= 64 else [])) for size in (8, 16, 32, 64, 128, 256, 512)]
    plan = {timed.size.size: timed for timed in timing_plan(inputs_of(*sizes))}
    assert {size for size, timed in plan.items() if timed.decides} == {64, 512}
    assert plan[64].solution_ids == (*plan[512].solution_ids, "slow")
    assert plan[8].solution_ids == plan[32].solution_ids == ("slow",)
    assert plan[128].solution_ids == ("a", "b")


def test_a_size_with_one_solution_left_is_for_growth_only():
    sizes = [size_of(8, "a", "b"), size_of(32, "a")]
    assert [timed.decides for timed in timing_plan(inputs_of(*sizes))] == [True, False]


def test_dissenters_are_timed_nowhere():
    dissent = StressDissent("b", 32, 0, "x", "d", "([],)")
    sizes = [size_of(8, "a", "b", "c"), size_of(32, "a", "c")]
    row = inputs_of(*sizes, dissents=[dissent])
    assert all("b" not in timed.solution_ids for timed in timing_plan(row))
    assert result(row, None, {}).dissenters == ["b"]


def test_sizes_whose_time_is_not_true_are_in_no_growth():
    row = inputs_of(*(size_of(size, "a", "b") for size in (10, 20, 40, 80)))
    labels = {
        timing_id("t", size): labels_of(f"t@{size}", {"a": 10.0 * size, "b": 20.0 * size}) for size in (10, 20, 40, 80)
    }
    spoilt = labels[timing_id("t", 40)].labels
    spoilt[0] = replace(spoilt[0], runtime_ns=1.0, flags=["waits"])
    by_id = {one.solution_id: one for one in result(row, None, labels).solutions}
    assert by_id["a"].sizes == [10.0, 20.0, 80.0]
    assert by_id["a"].flags == ["waits"]
    assert by_id["a"].exponent == pytest.approx(1.0)
    assert by_id["b"].sizes == [10.0, 20.0, 40.0, 80.0]


def test_results_take_each_pair_at_its_largest_common_size():
    row = inputs_of(
        size_of(10, "a", "b", "c"), size_of(20, "a", "b", "c"), size_of(40, "a", "b"), size_of(80, "a", "b"),
        stops=[StressStop("c", 20, "budget")],
    )  # fmt: skip
    labels = {
        timing_id("t", 10): labels_of("t@10", {"a": 100.0, "b": 200.0, "c": 1_000.0}, Decision.UNDECIDED),
        timing_id("t", 20): labels_of("t@20", {"a": 200.0, "b": 400.0, "c": 4_000.0}),
        timing_id("t", 40): labels_of("t@40", {"a": 400.0, "b": 800.0}, Decision.UNDECIDED),
        timing_id("t", 80): labels_of("t@80", {"a": 800.0, "b": 1_600.0}),
    }
    base = labels_of("t", {"c": 50.0, "a": 60.0, "b": 66.0})
    found = result(row, base, labels)
    pairs = {(pair.quick_id, pair.slow_id): pair for pair in found.pairs}
    assert {key: pair.size for key, pair in pairs.items()} == {("a", "c"): 20, ("b", "c"): 20, ("a", "b"): 80}
    assert pairs["a", "c"].ratio == pytest.approx(20)
    assert pairs["a", "c"].base_ratio == pytest.approx(50 / 60)  # the order turned
    assert pairs["a", "c"].base_decision == Decision.SLOW
    assert pairs["a", "b"].base_ratio == pytest.approx(1.1)
    assert (found.base_separation, found.separation, found.size) == (pytest.approx(66 / 50), pytest.approx(20), 80)
    by_id = {one.solution_id: one for one in found.solutions}
    assert by_id["a"].exponent == pytest.approx(1.0)
    assert by_id["c"].exponent is None
    assert by_id["c"].stopped == "budget"
