"""One problem merged: grouping, order, what is left out and why, and the pairs that follow."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_blocks import confirmed_blocks

from harness.merging.merge import DropReason, MergeSettings, judge, merge_problem
from harness.merging.pairs import pairs_of
from harness.records import (
    ExecutionRow,
    FinishReason,
    MeasurementBlock,
    MergedRow,
    PairKind,
    Problem,
    ProblemLabels,
    RuntimeLabel,
    Sample,
)
from harness.timing.decisions import decide

PROBLEM = Problem("t", "def f(x):\n", "def check(candidate): ...", "f", "train", "test")


def sample(number: int, completion: str = "", task_id: str = "t") -> Sample:
    return Sample(task_id, number, "m", completion or f"    return {number}\n", FinishReason.EOS)


def execution(
    number: int, solution: str, verdict: str = "PASSED", integrity: str = "strong", task_id: str = "t"
) -> ExecutionRow:
    return ExecutionRow(task_id, number, "m", solution, verdict, integrity, "", "completed", "", 1, 1, 1, 0)


def merged(
    rows: list[ExecutionRow], timed: dict[str, float], settings: MergeSettings | None = None
) -> MergedRow | DropReason:
    samples = [sample(number) for number in {row.sample_id for row in rows}]
    return merge_problem(PROBLEM, samples, rows, decide(confirmed_blocks(timed)) if timed else None, settings)


USUAL = [
    execution(0, "slow"), execution(1, "bad", "WRONG"), execution(2, "fast"), execution(3, "slow"),
    execution(4, "ugly", "TIMEOUT_CPU"), execution(5, "fast2"), execution(6, "bad", "WRONG"),
]  # fmt: skip
TIMES = {"slow": 200.0, "fast": 100.0, "fast2": 101.0}


def test_a_merged_row() -> None:
    row = merged(USUAL, TIMES)
    assert isinstance(row, MergedRow)
    assert [(a.solution_id, a.sample_id, a.copies, a.verdict) for a in row.answers] == [
        ("fast", 2, 1, "PASSED"),
        ("fast2", 5, 1, "PASSED"),
        ("slow", 0, 2, "PASSED"),
        ("bad", 1, 2, "WRONG"),
        ("ugly", 4, 1, "TIMEOUT_CPU"),
    ]
    assert (row.id, row.question, row.entry_point, row.passing) == ("t", "def f(x):\n", "f", 3)
    assert row.answers[0].text == "    return 2\n"
    votes = [answer.votes for answer in row.answers]
    assert votes[3:] == [None, None]
    assert votes[:3] == pytest.approx([100, 101, 200])
    assert [(d.quick, d.slow) for d in row.decided] == [(0, 2), (1, 2)]
    assert row.decided[0].ratio == pytest.approx(2.0)
    assert row.time["count"] == 3
    assert row.time["avg"] == pytest.approx(statistics.fmean([100, 101, 200]))
    assert row.time["std"] == pytest.approx(statistics.stdev([100, 101, 200]))  # as in the released files
    assert row.time["cov"] == pytest.approx(row.time["std"] / row.time["avg"])


def test_order_is_by_tier_and_then_run_time() -> None:
    labels = ProblemLabels(
        "t", [RuntimeLabel(i, ns, ns, ns, 5, tier) for i, ns, tier in [("a", 9.0, 0), ("b", 5.0, 1), ("c", 7.0, 0)]], []
    )
    rows = [execution(0, "a"), execution(1, "b"), execution(2, "c"), execution(3, "d", "WRONG")]
    row = merge_problem(PROBLEM, [sample(i) for i in range(4)], rows, labels)
    assert isinstance(row, MergedRow)
    assert [answer.solution_id for answer in row.answers] == ["c", "a", "b", "d"]


def test_internal_is_never_a_failure() -> None:
    rows = [execution(0, "a"), execution(1, "b"), execution(2, "c", "INTERNAL", "none")]
    assert merged(rows, {"a": 1e3, "b": 2e3}) is DropReason.TOO_FEW_FAILING
    row = merged([*rows, execution(3, "d", "ERROR")], {"a": 1e3, "b": 2e3})
    assert isinstance(row, MergedRow)
    assert [answer.solution_id for answer in row.answers] == ["a", "b", "d"]


def test_a_retried_internal_is_replaced_by_what_came_after() -> None:
    judged = judge([sample(0)], [execution(0, "a", "INTERNAL"), execution(0, "a")], MergeSettings())
    assert (len(judged.passing), judged.internal) == (1, 0)


def test_copies_that_disagree_are_left_out_whole() -> None:
    rows = [*USUAL, execution(7, "flaky"), execution(8, "flaky", "WRONG")]
    row = merged(rows, {**TIMES, "flaky": 50.0})
    assert isinstance(row, MergedRow)
    assert "flaky" not in {answer.solution_id for answer in row.answers}
    assert [d.solution_id for d in judge([sample(7), sample(8)], rows, MergeSettings()).unstable] == ["flaky"]


@pytest.mark.parametrize("flag", ["results_differ", "failed:WRONG"])
def test_what_failed_while_it_was_timed_is_left_out(flag: str) -> None:
    samples = [sample(i) for i in range(7)]
    row = merge_problem(PROBLEM, samples, USUAL, decide(confirmed_blocks(TIMES, flags={"fast": [flag]})))
    assert isinstance(row, MergedRow)
    assert [answer.solution_id for answer in row.answers[: row.passing]] == ["fast2", "slow"]
    assert [(d.quick, d.slow) for d in row.decided] == [(0, 1)]
    kept = merge_problem(PROBLEM, samples, USUAL, decide(confirmed_blocks(TIMES, flags={"fast": ["memoises"]})))
    assert isinstance(kept, MergedRow)
    assert (kept.passing, [(d.quick, d.slow) for d in kept.decided]) == (3, [(1, 2)])


def test_weak_integrity_is_kept_unless_excluded() -> None:
    rows = [execution(0, "a", integrity="weak"), execution(1, "b"), execution(2, "c"), execution(3, "d", "WRONG")]
    times = {"a": 1e3, "b": 2e3, "c": 3e3}
    row = merged(rows, times)
    assert isinstance(row, MergedRow)
    assert [answer.integrity for answer in row.answers] == ["weak", "strong", "strong", "strong"]
    without = merged(rows, times, MergeSettings(exclude_weak=True))
    assert isinstance(without, MergedRow)
    assert [answer.solution_id for answer in without.answers] == ["b", "c", "d"]


def test_drop_reasons() -> None:
    times = {"a": 1e3, "b": 2e3}
    assert merge_problem(PROBLEM, [], [], None) is DropReason.NO_SAMPLES
    assert merge_problem(PROBLEM, [sample(0)], [], None) is DropReason.NOT_JUDGED
    assert merged([execution(0, "a", "INTERNAL")], times) is DropReason.NOT_JUDGED
    assert (
        merged([execution(0, "a"), execution(1, "a"), execution(2, "b", "WRONG")], times) is DropReason.TOO_FEW_PASSING
    )
    assert merged([execution(0, "a"), execution(1, "b")], times) is DropReason.TOO_FEW_FAILING
    passing = [execution(0, "a"), execution(1, "b"), execution(2, "c", "WRONG")]
    assert merged(passing, {}) is DropReason.NOT_TIMED
    assert merged(passing, {"a": 1e3}) is DropReason.NOT_TIMED
    lenient = merged([execution(0, "a")], {"a": 1e3}, MergeSettings(min_passing=1, min_failing=0))
    assert isinstance(lenient, MergedRow)
    assert lenient.time["std"] == 0.0


def test_pairs_are_decided_ones_and_passing_against_failing() -> None:
    row = merged(USUAL, TIMES)
    assert isinstance(row, MergedRow)
    pairs = list(pairs_of(row))
    qvs = [(p.chosen_sample, p.rejected_sample) for p in pairs if p.kind is PairKind.QVS]
    pvf = [(p.chosen_sample, p.rejected_sample) for p in pairs if p.kind is PairKind.PVF]
    assert qvs == [(2, 0), (5, 0)]
    assert pvf == [(2, 1), (2, 4), (5, 1), (5, 4), (0, 1), (0, 4)]
    for pair in pairs:
        assert pair.chosen_verdict == "PASSED"
        if pair.kind is PairKind.QVS:
            assert pair.rejected_verdict == "PASSED"
            assert pair.low is not None
            assert pair.low > 1.05
            assert pair.rounds == 10
        else:
            assert pair.rejected_verdict != "PASSED"
            assert pair.ratio is None


VERDICTS = st.sampled_from(["PASSED", "PASSED", "WRONG", "ERROR", "INTERNAL", "TIMEOUT_CPU"])


@given(st.lists(st.tuples(st.integers(0, 6), VERDICTS), min_size=1, max_size=30), st.randoms())
def test_whatever_the_samples_the_row_holds_together(drawn: list[tuple[int, str]], random: st.randoms) -> None:  # type: ignore[valid-type]
    rows = [execution(number, f"s{solution}", verdict) for number, (solution, verdict) in enumerate(drawn)]
    samples = [sample(number) for number in range(len(rows))]
    measured: list[MeasurementBlock] = confirmed_blocks({f"s{i}": 100.0 * 1.2**i for i in range(7)})
    row = merge_problem(PROBLEM, samples, rows, decide(measured))
    random.shuffle(samples)
    random.shuffle(rows)
    assert merge_problem(PROBLEM, samples, rows, decide(measured)) == row
    if isinstance(row, DropReason):
        return
    verdicts = {f"s{s}": {v for t, v in drawn if t == s and v != "INTERNAL"} for s, _ in drawn}
    ids = [answer.solution_id for answer in row.answers]
    assert len(set(ids)) == len(ids)
    for place, answer in enumerate(row.answers):
        assert (answer.votes is not None) == (place < row.passing) == (verdicts[answer.solution_id] == {"PASSED"})
        assert answer.copies == sum(f"s{s}" == answer.solution_id and v != "INTERNAL" for s, v in drawn)
    votes = [answer.votes for answer in row.answers[: row.passing]]
    assert votes == sorted(votes)
    assert all(pair.quick < pair.slow < row.passing for pair in row.decided)
