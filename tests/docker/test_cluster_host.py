"""One host of a cluster, without the cluster: rows as a local run has them, and faults that are told at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from harness.annotation.settings import AnnotationSettings
from harness.cluster.host import Event, Host, ProblemWork
from harness.fingerprint import host_fingerprint
from harness.problems import load_problems, starter_solutions
from harness.records import ExecutionRow, FinishReason, MeasurementBlock, Sample
from harness.timing.decisions import DecisionSettings

pytestmark = pytest.mark.docker

SETTINGS = AnnotationSettings(decision=DecisionSettings(min_rounds=2, max_rounds=2, confirm_rounds=1))
FAILING = "    return None\n"


def work(number: int) -> ProblemWork:
    problem = load_problems("starter", ["train"])[number]
    codes = [*(one.code for one in starter_solutions()[problem.task_id]), FAILING]
    samples = [Sample(problem.task_id, n, "m", code, FinishReason.EOS) for n, code in enumerate(codes)]
    return ProblemWork(problem, tuple(samples))


@pytest.fixture
def host(sandbox_image: object) -> Iterator[Host]:
    host = Host(1, SETTINGS)
    facts = host.open()
    assert len(facts.cores) == 1
    assert facts.fingerprint == host_fingerprint()
    yield host
    host.close()


def told(host: Host, task_ids: set[str]) -> list[Event]:
    """Everything until these problems are done."""
    events: list[Event] = []
    end = time.monotonic() + 120
    while not task_ids <= {event.task_id for event in events if event.row is None}:
        assert time.monotonic() < end
        events += host.events(1.0)
    return events


def test_problems_are_judged_and_timed_and_go_on_from_what_there_is(host: Host) -> None:
    first, second = work(0), work(1)
    names = {first.problem.task_id, second.problem.task_id}
    host.add([first, second])
    events = told(host, names)
    rows = [event.row for event in events if isinstance(event.row, ExecutionRow)]
    assert len(rows) == len(first.samples) + len(second.samples)
    assert sorted(row.verdict for row in rows).count("PASSED") == len(rows) - 2
    blocks = [event.row for event in events if isinstance(event.row, MeasurementBlock)]
    assert {block.task_id for block in blocks} == names
    assert {block.host for block in blocks} == {host_fingerprint()}
    for name in names:
        own = [event for event in events if event.task_id == name]
        assert own[-1].row is None  # done is the last that is told of it
        assert sum(event.row is None for event in own) == 1

    known = tuple(row for row in rows if row.task_id == first.problem.task_id)
    timed = tuple(block for block in blocks if block.task_id == first.problem.task_id)
    host.add([ProblemWork(first.problem, first.samples, known, timed)])
    assert told(host, {first.problem.task_id}) == [Event(first.problem.task_id)]


@pytest.mark.parametrize("judged", [False, True], ids=["judging", "timing"])
def test_a_fault_is_told(host: Host, judged: bool) -> None:
    """The sandbox is taken away from under it: whoever waits for events hears of it."""
    one = work(0)
    if judged:
        host.add([one])
        rows = [event.row for event in told(host, {one.problem.task_id}) if isinstance(event.row, ExecutionRow)]
        one = ProblemWork(one.problem, one.samples, tuple(rows))
    host._stack.close()
    host.add([one])
    with pytest.raises(RuntimeError, match="outside"):
        told(host, {one.problem.task_id})
