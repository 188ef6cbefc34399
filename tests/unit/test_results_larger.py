"""Models on larger inputs: by hand, whatever way round a pair is written, and without what is not believed."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evaluation.larger import Larger
from harness.records import ExecutionRow, ProblemLabels, RuntimeLabel
from harness.stress.records import StressPair, StressResult, StressSolution


def _row(model: str, number: int, solution: str, task_id: str = "p", verdict: str = "PASSED") -> ExecutionRow:
    return ExecutionRow(task_id, number, model, solution, verdict, "strong", "", "completed", "", 1, 1, 1, 0)


def _solution(name: str, *flags: str, sizes: tuple[float, ...] = (10.0, 100.0)) -> StressSolution:
    return StressSolution(name, 50.0, list(sizes), [1.0] * len(sizes), None, None, None, [], "", list(flags))


def _pair(quick: str, slow: str, ratio: float, base_ratio: float | None = 1.0) -> StressPair:
    decision = None if base_ratio is None else "undecided"
    return StressPair(quick, slow, 100, ratio, ratio, ratio, "quick", True, base_ratio, decision)


def _result(*pairs: StressPair, solutions: tuple[StressSolution, ...] | None = None, **more: object) -> StressResult:
    names = sorted({one for pair in pairs for one in (pair.quick_id, pair.slow_id)})
    found = list(solutions) if solutions is not None else [_solution(name) for name in names]
    return replace(StressResult("p", "length", 5, 100, 1.0, 1.0, found, list(pairs), [], ""), **more)  # type: ignore[arg-type]


def test_worked_out_by_hand() -> None:
    """base wrote a twice and b, new wrote a and c; c is 8 times as fast as a on larger inputs, and b half as fast."""
    rows = [_row("base", 0, "a"), _row("base", 1, "a"), _row("base", 2, "b"), _row("base", 3, "c", verdict="WRONG"),
            _row("new", 0, "a"), _row("new", 1, "c")]  # fmt: skip
    result = _result(_pair("c", "a", 8.0, 2.0), _pair("a", "b", 2.0, 0.5), _pair("c", "b", 16.0, 1.0))
    found = Larger([result], rows, {}, seed=1).difference("base", "new")
    assert found is not None
    # Pairs base over new: a/a twice 1, a/c twice 8, b/a 2, b/c 16: the sixth root of 8 * 8 * 2 * 16.
    assert found.speedup.value == pytest.approx((8 * 8 * 2 * 16) ** (1 / 6))
    assert found.own.value == pytest.approx((2 * 2 * 0.5 * 1) ** (1 / 6))
    assert (found.speedup.n, found.faster, found.slower) == (1, 1, 0)
    back = Larger([result], rows, {}, seed=1).difference("new", "base")
    assert back is not None
    assert back.speedup.value == pytest.approx(1 / found.speedup.value)
    assert (back.faster, back.slower) == (0, 1)


@given(st.lists(st.floats(1.0, 1e4), min_size=2, max_size=6), st.randoms())
def test_ratios_of_consistent_times_give_the_ratio_of_geometric_means(times: list[float], rng) -> None:
    names = [f"s{number}" for number in range(len(times))]
    order = sorted(range(len(times)), key=times.__getitem__)
    pairs = [_pair(names[i], names[j], times[j] / times[i]) for i, j in itertools.combinations(order, 2)]
    rng.shuffle(pairs)
    base, new = (rng.choices(range(len(times)), k=4) for _ in range(2))
    rows = [_row(model, number, names[one]) for model, own in (("base", base), ("new", new))
            for number, one in enumerate(own)]  # fmt: skip
    solutions = tuple(_solution(name) for name in names)
    found = Larger([_result(*pairs, solutions=solutions)], rows, {}, seed=1).difference("base", "new")
    assert found is not None
    logs = [math.log(times[one]) for one in base], [math.log(times[one]) for one in new]
    assert found.speedup.value == pytest.approx(math.exp(sum(logs[0]) / 4 - sum(logs[1]) / 4), rel=1e-9)


def test_pairs_that_cannot_be_told_or_are_not_believed_are_left_out_of_both_figures() -> None:
    rows = [_row("base", 0, "a"), _row("new", 0, "b"), _row("new", 1, "c"), _row("new", 2, "d")]
    pairs = _pair("b", "a", 2.0, 3.0), _pair("c", "a", 50.0, None), _pair("d", "a", 90.0, 90.0)
    result = _result(*pairs)
    labels = {"p": ProblemLabels("p", [RuntimeLabel("d", 1.0, 1.0, 1.0, 5, 0, ["results_differ"])], [])}
    found = Larger([result], rows, labels, seed=1).difference("base", "new")
    assert found is not None
    assert (found.speedup.value, found.own.value) == (pytest.approx(2.0), pytest.approx(3.0))
    waiting = _result(*pairs, solutions=(_solution("a"), _solution("b", "waits"), _solution("c"), _solution("d")))
    found = Larger([waiting], rows, labels, seed=1).difference("base", "new")
    assert found is not None
    assert (found.speedup.value, found.speedup.n) == (None, 0)
    assert "no two of their solutions" in found.own.reason


def test_samples_that_are_right_on_small_inputs_only_are_counted() -> None:
    rows = [_row("base", 0, "a"), _row("base", 1, "x"), _row("base", 2, "x"), _row("base", 3, "x", task_id="q"),
            _row("new", 0, "a")]  # fmt: skip
    stressed = _result(_pair("a", "b", 2.0), dissenters=["x"]), _result(why="no call of literals", task_id="q")
    larger = Larger(stressed, rows, {}, seed=1)
    base, new = larger.of_model("base"), larger.of_model("new")
    assert base is not None
    assert new is not None
    assert (base.passing, base.small_only) == (3, 2)
    assert (new.passing, new.small_only) == (1, 0)
    assert Larger([], rows, {}, seed=1).of_model("base") is None
    assert Larger([], rows, {}, seed=1).difference("base", "new") is None
