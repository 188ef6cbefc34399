"""Handing problems out: each is done by one host at a time and none is lost, whatever dies and in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_blocks import blocks

from harness.annotation.judged import SampleFile
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import Work
from harness.cluster.annotating import Folder
from harness.cluster.dispatch import AHEAD, MOST_ALONE, SUSPECT_AFTER, Dispatch
from harness.placement import place_slots, slots
from harness.progress import SilentReporter
from harness.records import ExecutionRow, FinishReason, Problem, Sample
from harness.store import Manifest, write_rows
from harness.timing.schedule import set_digest

PROBLEMS = [f"t/{number}" for number in range(20)]


@given(st.lists(st.tuples(st.sampled_from(["work", "die", "join"]), st.integers(0, 3), st.integers(1, 3)), max_size=60))
def test_every_problem_is_done_once_however_hosts_come_and_go(happens: list[tuple[str, int, int]]) -> None:
    dispatch, done = Dispatch(PROBLEMS), Counter[str]()
    there: dict[str, list[str]] = {}

    def work(name: str, at_most: int) -> None:
        there[name] += dispatch.take(name)
        for task_id in there[name][:at_most]:
            assert dispatch.has(name, task_id)
            assert not any(dispatch.has(other, task_id) for other in there if other != name)
            dispatch.done(name, task_id)
            done[task_id] += 1
        del there[name][:at_most]

    for number, (what, which, count) in enumerate(happens):
        if what == "join" and len(there) < 4:
            there[f"h{number}"] = []
            dispatch.join(f"h{number}", slots=count, kind=f"k{which}")
        elif there and what != "join":
            name = sorted(there)[which % len(there)]
            if what == "die":
                dispatch.lost(name)
                del there[name]
            else:
                work(name, count)
    dispatch.join("last", slots=2, kind="k")
    there["last"] = []
    for _ in range(10 * len(PROBLEMS)):
        for name in there:
            work(name, 2)
    assert dispatch.finished
    assert done == Counter(set(PROBLEMS) - set(dispatch.given_up))
    assert len(dispatch.given_up) <= sum(what == "die" for what, *_ in happens) // (SUSPECT_AFTER + MOST_ALONE)


def test_work_is_shared_out_by_slots_and_not_all_at_once() -> None:
    dispatch = Dispatch([str(number) for number in range(100)])
    dispatch.join("small", slots=1, kind="a")
    dispatch.join("large", slots=3, kind="b")
    assert (len(dispatch.take("small")), len(dispatch.take("large"))) == (AHEAD, 3 * AHEAD)
    few = Dispatch([str(number) for number in range(4)])
    few.join("small", slots=1, kind="a")
    few.join("large", slots=3, kind="b")
    assert (few.take("small"), few.take("large")) == (["0"], ["1", "2", "3"])


def test_a_problem_that_was_begun_goes_back_to_its_host_while_that_is_there() -> None:
    dispatch = Dispatch(["a", "b", "c", "d"], {"a": "two", "b": "two", "c": "gone"})
    dispatch.join("1", slots=4, kind="one")
    dispatch.join("2", slots=4, kind="two")
    assert dispatch.take("1") == ["d", "c"]
    assert dispatch.take("2") == ["a", "b"]
    dispatch.lost("2", {"a": "two"})
    for task_id in ("c", "d"):
        dispatch.done("1", task_id)
    assert dispatch.take("1") == ["a", "b"]  # nobody else can
    for task_id in ("a", "b"):
        dispatch.done("1", task_id)
    assert dispatch.finished


def test_the_problem_that_kills_hosts_is_found_and_its_neighbours_are_done() -> None:
    dispatch, died = Dispatch(PROBLEMS), 0
    while not dispatch.finished and died < 20:
        name = f"host-{died}"
        dispatch.join(name, slots=1, kind="k")
        while taken := dispatch.take(name):
            if "t/3" in taken:
                dispatch.lost(name)
                died += 1
                break
            for task_id in taken:
                dispatch.done(name, task_id)
        else:
            break
    assert dispatch.given_up == ["t/3"]
    assert died == SUSPECT_AFTER + MOST_ALONE
    assert dispatch.finished


def test_what_a_host_that_is_gone_still_says_is_out_of_date() -> None:
    dispatch = Dispatch(["a"])
    dispatch.join("1", slots=1, kind="k")
    dispatch.take("1")
    dispatch.lost("1")
    assert not dispatch.has("1", "a")


# --- the driver's folder ----------------------------------------------------------------------------------------


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """Five problems: never judged, judged with a fault of ours, not worth timing, begun on a host, finished on one."""
    names = ["new", "fault", "failing", "begun", "finished"]
    samples = [Sample(name, n, "m", f"{n}", FinishReason.EOS) for name in names for n in range(3)]
    write_rows(tmp_path / "samples.jsonl", [*samples, Sample("stranger", 0, "m", "", FinishReason.EOS)])
    verdicts = {"failing": ["WRONG"] * 3, "fault": ["PASSED", "INTERNAL", "WRONG"]}
    rows = [
        ExecutionRow(s.task_id, s.sample_id, "m", s.completion, verdict, "strong", "", "completed", "", 1, 1, 1, 0)
        for s in samples
        if s.task_id != "new"
        for verdict in [verdicts.get(s.task_id, ["PASSED", "PASSED", "WRONG"])[s.sample_id]]
    ]
    write_rows(tmp_path / "executions.jsonl", rows)
    digest = set_digest(["0", "1"])
    measured = [
        replace(block, host=f"host of {name}", of=digest)
        for name, rounds in (("begun", 2), ("finished", 30))
        for block in blocks({"0": 1e6, "1": 1e6}, rounds, task_id=name)
    ]
    write_rows(tmp_path / "measurements.jsonl", measured)
    known = {name: Problem(name, "", "", "f", "train", "test") for name in names}
    file = SampleFile(tmp_path / "samples.jsonl")
    return Work(known, file, tmp_path, AnnotationSettings(), Manifest(tmp_path), SilentReporter())


def test_a_driver_that_starts_again_sees_what_is_left(work: Work) -> None:
    folder = Folder(work)
    assert folder.unfinished == ["new", "fault", "begun"]
    assert folder.begun_on == {"begun": "host of begun"}
    assert folder.total == 5
    verdicts, timed = folder.outcome()
    assert verdicts == {"PASSED": 5, "WRONG": 6, "INTERNAL": 1, "unknown problem": 1}
    assert timed.task_ids == ["begun", "finished"]  # of "fault" only one is known to pass


def test_what_came_back_before_a_host_died_goes_with_the_problem_to_the_next(work: Work) -> None:
    before = (work.folder / "executions.jsonl").read_bytes()
    with Folder(work) as folder:
        assert folder.work("new").executions == ()
        row = folder.work("fault").executions[0]
        judged = replace(row, task_id="new")
        folder.write(judged)
        again = folder.work("new")
        assert again.executions == (judged,)
        assert len(again.samples) == 3
        block = replace(folder.work("begun").blocks[0], host="another", round=0)
        folder.write(block)
        assert folder.work("begun").blocks[-1] == block
        assert folder.begun_on["begun"] == "another"
        folder.forget("begun")
        assert "begun" not in folder.begun_on
    assert (work.folder / "executions.jsonl").read_bytes().startswith(before)


# --- cores ------------------------------------------------------------------------------------------------------


def test_slots_are_physical_cores_and_the_first_is_left_where_it_can_be() -> None:
    siblings = ((0, 4), (1, 5), (2, 6), (3, 7))
    cpus = tuple(range(8))
    assert slots(cpus, siblings) == (1, 2, 3, 0)
    placed = place_slots(cpus, siblings, slots(cpus, siblings)[:3])
    assert (placed.judging, placed.timing) == ((1, 2, 3, 5, 6, 7), (1, 2, 3))
    assert place_slots((3,), None, slots((3,), None)).timing == (3,)
