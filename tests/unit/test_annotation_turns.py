"""Problems take turns, few of them at a time; and what is measured on one host is never compared with another's."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from timing_blocks import blocks

from harness.annotation.executing import Judged
from harness.annotation.judged import JudgedProblems, SampleFile
from harness.annotation.measuring import ProblemState, passing_solutions
from harness.annotation.settings import AnnotationSettings
from harness.annotation.turns import Turns
from harness.records import ExecutionRow, FinishReason, Problem, Sample
from harness.store import read_rows, write_rows
from harness.timing.schedule import current_blocks, set_digest

SETTINGS = AnnotationSettings()


class Item:
    def __init__(self, name: str) -> None:
        self.name = name


def worked(turns: Turns[Item], core: int, seen: list[tuple[int, str]], times: int) -> None:
    left: Counter[str] = Counter()
    while item := turns.take(core):
        seen.append((core, item.name))
        left[item.name] += 1
        if left[item.name] >= times:
            turns.done(item)
        else:
            turns.back(core, item)


def test_problems_are_dealt_in_turn_and_each_goes_round_on_its_core() -> None:
    turns, seen = Turns[Item]([3, 5], window=8), list[tuple[int, str]]()
    turns.fill(Item(str(number)) for number in range(5))
    workers = [threading.Thread(target=worked, args=(turns, core, seen, 2)) for core in (3, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [name for core, name in seen if core == 3] == list("024024")
    assert [name for core, name in seen if core == 5] == list("1313")


def test_no_more_than_the_window_is_begun_at_a_time() -> None:
    made: list[Item] = []
    done = 0

    def items():
        for number in range(50):
            made.append(Item(str(number)))
            most.append(len(made) - done)
            yield made[-1]

    most: list[int] = []
    turns = Turns[Item]([0, 1], window=4)
    feeder = threading.Thread(target=turns.fill, args=(items(),))
    feeder.start()
    seen = Counter[str]()
    while item := turns.take(done % 2):
        seen[item.name] += 1
        done += 1
        turns.done(item)
    feeder.join()
    assert set(seen) == {str(number) for number in range(50)}
    assert max(most) <= 2 * 4 + 2  # one is made while the last waits for room, one is counted as it leaves


def test_a_problem_moves_once_to_the_next_core_and_nobody_leaves_before_it_came() -> None:
    turns, item = Turns[Item]([0, 1], window=4), Item("a")
    turns.fill([item])
    assert turns.take(0) is item
    got: list[Item | None] = []
    other = threading.Thread(target=lambda: got.append(turns.take(1)))
    other.start()
    time.sleep(0.05)
    assert other.is_alive()  # it may still come
    assert turns.move(0, item)
    other.join()
    assert got == [item]
    assert not turns.move(1, item)
    turns.done(item)
    assert turns.take(0) is turns.take(1) is None


def test_stopping_lets_everybody_go() -> None:
    turns = Turns[Item]([0], window=1)
    feeder = threading.Thread(target=turns.fill, args=([Item("a"), Item("b")],))
    feeder.start()
    turns.stop()
    feeder.join(5)
    assert not feeder.is_alive()
    assert turns.take(0) is None


def test_one_core_has_nobody_to_confirm_on() -> None:
    turns = Turns[Item]([0], window=1)
    assert not turns.move(0, Item("a"))


# --- resuming ---------------------------------------------------------------------------------------------------


def state() -> ProblemState:
    return ProblemState(Problem("t", "", "", "f", "train", "test"), {"a": "1", "b": "2"})


def measured(host: str, rounds: int, ratio: float = 1.0) -> list:
    made = blocks({"a": 1e6, "b": ratio * 1e6}, rounds=rounds)
    return [replace(block, host=host, of=set_digest(["a", "b"])) for block in made]


def test_blocks_of_another_host_do_not_count_unless_they_finished_the_problem() -> None:
    here, there = measured("here", 3), measured("there", 3)
    for earlier, host, kept in (
        (here, "here", here),
        (there, "here", []),
        (here + there, "here", here),
        (here + there, "there", there),
        (there + here, "new", []),
    ):
        problem = state()
        problem.resume(earlier, host, SETTINGS)
        assert problem.blocks == kept
    finished = measured("there", 40)
    problem = state()
    problem.resume(finished, "here", SETTINGS)
    assert problem.blocks == finished
    assert problem.next_step(SETTINGS, hurry=False) is None


def test_labels_are_of_the_last_host_only() -> None:
    here, there = measured("here", 3), measured("there", 2)
    assert current_blocks(here + there) == there
    assert current_blocks(there + here) == here


# --- one problem in memory ----------------------------------------------------------------------------------------


def row(sample: Sample, verdict: str) -> ExecutionRow:
    solution = sample.completion.strip()
    return ExecutionRow(
        sample.task_id, sample.sample_id, sample.model, solution, verdict, "strong", "", "completed", "", 1, 1, 1, 0
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows of three problems, interleaved as rounds of sampling leave them; a verdict of ours and its second run."""
    samples = [Sample(t, n, "m", f"s{n % 3}\n", FinishReason.EOS) for n in range(6) for t in ("b", "a", "c", "other")]
    write_rows(tmp_path / "samples.jsonl", samples)
    rows = [row(s, "WRONG" if s.sample_id % 3 == 0 else "PASSED") for s in samples if s.task_id != "c"]
    again = next(one for one in rows if one.task_id == "a" and one.sample_id == 1)
    rows.insert(0, row(samples[5], "INTERNAL"))
    assert rows[0].key == again.key
    write_rows(tmp_path / "executions.jsonl", rows)
    return tmp_path


def test_problems_come_one_by_one_as_from_whole_lists(folder: Path) -> None:
    known = {task: Problem(task, "", "", "f", "train", "test") for task in ("a", "b", "c")}
    file = SampleFile(folder / "samples.jsonl")
    executions = {one.key: one for one in read_rows(folder / "executions.jsonl", ExecutionRow)}
    listed = passing_solutions(known, list(file), executions, SETTINGS)
    lazily = JudgedProblems(known, file, folder / "executions.jsonl", SETTINGS)
    assert list(lazily) == listed == list(lazily)
    assert lazily.task_ids == [one.problem.task_id for one in listed] == ["b", "a"]
    assert lazily.solutions == 4
    some = SampleFile(folder / "samples.jsonl", lambda task_id: task_id == "a")
    assert [one.problem.task_id for one in JudgedProblems(known, some, folder / "executions.jsonl", SETTINGS)] == ["a"]
    assert (file.count(), some.count(), len(list(some))) == (24, 6, 6)


def test_faults_of_ours_are_no_verdicts(folder: Path) -> None:
    judged = Judged(folder / "executions.jsonl")
    assert judged.count == 18
    assert judged.verdicts == {"PASSED": 12, "WRONG": 6}
    file = list(SampleFile(folder / "samples.jsonl"))
    assert {one.task_id for one in file if not judged.has(one)} == {"c"}
    write_rows(folder / "executions.jsonl", [row(file[0], "INTERNAL")])
    assert not Judged(folder / "executions.jsonl").has(file[0])
    assert Judged(folder / "executions.jsonl").internal == 1


def test_who_waits_for_problems_is_let_go_when_the_turns_stop() -> None:
    turns = Turns[Item]([0])

    def waiting():
        while True:
            time.sleep(0.01)
            yield None

    feeder = threading.Thread(target=turns.fill, args=(waiting(),))
    feeder.start()
    turns.stop()
    feeder.join(5)
    assert not feeder.is_alive()
