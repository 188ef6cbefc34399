"""The published timing method inside our sandbox: for comparison, never for labels to be trusted.

Five passes, each in a process of its own. A pass `exec`s prompt + completion + test + `check(entry_point)` as source
text, 50 times a block, until a block's standard deviation is at most a tenth of its mean (harness/timing/legacy_pass.py
is that program). A solution is labelled by the mean over its passes; any difference orders a pair. Source: the
Code-Optimise authors' release (Gee et al., 2024, arXiv 2406.12502).

The figures are the measured process's own word: a solution shares it with the clock, the test and the one who writes
the result down. And they are mostly compile time: for a short function some 99% of them, so that a longer comment
makes a solution "slower". What of the method is our reading, because its description leaves it open: each block is
judged by its own 50 repetitions; all repetitions of a pass share one name space; standard deviations are a
population's. What differs: the clock is the main thread's CPU time (the sandbox's limit on CPU time makes Linux count
a process's in steps of 4 ms), and "passed" is our judge's verdict, not five in-process ones.
"""

from __future__ import annotations

import inspect
import json
import statistics
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from harness.records import Comparison, Decision, LegacyOutcome, LegacyTiming, ProblemLabels, RuntimeLabel
from harness.threads import merged
from harness.timing import legacy_pass
from harness.timing.legacy_pass import BLOCK_SECONDS, MAX_BLOCKS, PASS_SECONDS, REPETITIONS, settled
from sandbox import Execution, Job, Limits, Sandbox, Verdict

PASSES = 5
FLAG = "legacy"  # on every label made here, so that a table or report shows by which method its run times were had
# The method's own bounds on time come first: these are for a solution that swallows the alarm.
LIMITS = Limits(cpu_seconds=PASS_SECONDS + 2)
# On one core a process can't use more CPU time than there is wall time; the alarm may ring a tick late.
MIN_AVG_NS, MAX_AVG_NS = 1.0, 1.1 * BLOCK_SECONDS * 1e9 / REPETITIONS

_ENTRY_POINT = "run_pass"
_TEST = "def check(candidate):\n    candidate()\n"
_KEYS = {"outcome", "avg_ns", "std_ns", "blocks"}
_WITHOUT_FIGURES = {LegacyOutcome.FAILED, LegacyOutcome.TIMEOUT, LegacyOutcome.UNSTABLE}
NO_MEASUREMENT = LegacyOutcome.NO_MEASUREMENT
_BY_VERDICT = {
    Verdict.INTERNAL: LegacyOutcome.INTERNAL,
    Verdict.TIMEOUT_CPU: LegacyOutcome.TIMEOUT,
    Verdict.TIMEOUT_WALL: LegacyOutcome.TIMEOUT,
}


@dataclass(frozen=True, slots=True)
class LegacyRun:
    """One pass to be measured. job: as for judging. `solution_id` is the caller's name for it, returned as it is."""

    task_id: str
    solution_id: str
    pass_number: int  # from 0
    job: Job

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.task_id, self.solution_id, self.pass_number)


def pass_job(job: Job) -> Job:
    """The sandbox job that does one pass over a solution's program and test."""
    source = f"{job.program}\n{job.test}\ncheck({job.entry_point})"  # as HumanEval's harness puts it together
    call = f"\n\ndef {_ENTRY_POINT}() -> None:\n    report({source!a})\n"
    return Job(program=_pass_text() + call, test=_TEST, entry_point=_ENTRY_POINT)


@cache
def _pass_text() -> str:
    return inspect.getsource(legacy_pass)


def legacy_timing(run: LegacyRun, execution: Execution) -> LegacyTiming:
    """A pass as a row. Anything but the one line that a pass writes is NO_MEASUREMENT; never raises."""
    if execution.verdict is Verdict.PASSED:
        outcome, avg_ns, std_ns, blocks = _figures(_one_line(execution))
    else:
        outcome, avg_ns, std_ns, blocks = _BY_VERDICT.get(execution.verdict, NO_MEASUREMENT), None, None, None
    return LegacyTiming(
        task_id=run.task_id,
        solution_id=run.solution_id,
        pass_number=run.pass_number,
        outcome=outcome,
        avg_ns=avg_ns,
        std_ns=std_ns,
        blocks=blocks,
        cpu_ns=execution.cpu_ns,
    )


def _one_line(execution: Execution) -> dict[str, Any]:
    """What the pass wrote, if that is all that was written: a line before or after it is somebody else's. Else {}."""
    text = execution.output_head
    if not text.endswith("\n") or text.count("\n") != 1 or len(text) != execution.stdout_bytes or not text.isascii():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) and set(value) == _KEYS else {}


def _figures(line: dict[str, Any]) -> tuple[LegacyOutcome, float | None, float | None, int | None]:
    """Outcome, mean, standard deviation and blocks, each of its type and range and in keeping with the others."""
    outcome, blocks = line.get("outcome"), line.get("blocks")
    if type(outcome) is str and type(blocks) is int and 0 <= blocks <= MAX_BLOCKS:
        avg = _number(line["avg_ns"], MIN_AVG_NS, MAX_AVG_NS)
        std = _number(line["std_ns"], 0, MAX_AVG_NS)
        if outcome == LegacyOutcome.MEASURED and avg and std is not None and blocks and settled(avg, std):
            return LegacyOutcome.MEASURED, avg, std, blocks
        if outcome in _WITHOUT_FIGURES and line["avg_ns"] is None and line["std_ns"] is None:
            return LegacyOutcome(outcome), None, None, blocks
    return NO_MEASUREMENT, None, None, None


def _number(value: object, low: float, high: float) -> float | None:
    """The value as a float if it is a number in that range. Compared first: an integer may be too large for a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None  # NaN is in no range


def passes_of(solutions: Callable[[], Iterable[tuple[str, str, Job]]], count: int = PASSES) -> Iterator[LegacyRun]:
    """All passes over (task_id, solution_id, job), as published: over all solutions, then over all of them again.

    solutions: is asked for them in each pass, so that they need not all be in memory.
    """
    for number in range(count):
        for task_id, solution_id, job in solutions():
            yield LegacyRun(task_id, solution_id, number, job)


def measure_legacy(cores: Sequence[int], runs: Iterable[LegacyRun]) -> Iterator[LegacyTiming]:
    """Measure passes on the given cores; rows as they become ready, in no particular order. `runs` is read as needed.

    A pass has its core to itself: one sandbox a core, and one run in it at a time. `Sandbox.run_many` would begin the
    next run beside one that takes more than some milliseconds, and of passes side by side on one core hardly any
    settles. Raises SandboxError where the sandbox can't be had. What was begun is finished before an early close ends.
    """
    todo, lock = iter(runs), threading.Lock()
    stop = threading.Event()

    def work(sandbox: Sandbox) -> Iterator[LegacyTiming]:
        while not stop.is_set():
            with lock:
                run = next(todo, None)
            if run is None:
                return
            yield legacy_timing(run, sandbox.run(pass_job(run.job)))

    with ExitStack() as stack:
        sandboxes = [stack.enter_context(Sandbox(cores=[core], limits=LIMITS)) for core in cores]
        yield from merged({f"legacy-{one.cores[0]}": work(one) for one in sandboxes}, stop.set)


def latest(rows: Iterable[LegacyTiming]) -> list[LegacyTiming]:
    """The last row of each pass: INTERNAL ones are run again."""
    return list({row.key: row for row in rows}.values())


def legacy_labels(rows: Sequence[LegacyTiming]) -> ProblemLabels:
    """One problem's labels as published: mean over passes, every pair of different means decided. Pure.

    A pass without a measurement is left out of the mean, and a solution without any has no label. The method has no
    intervals: `low`, `high` are the least and the greatest that the passes allow, of a run time or of a ratio, so that
    a decided pair may well have a `low` under 1. Raises ValueError for no rows, or rows of several problems.
    """
    tasks = {row.task_id for row in rows}
    if len(tasks) != 1:
        raise ValueError(f"rows of one problem wanted, got {sorted(tasks)}")
    times: dict[str, list[float]] = {}
    for row in latest(rows):
        if row.outcome is LegacyOutcome.MEASURED and row.avg_ns is not None:
            times.setdefault(row.solution_id, []).append(row.avg_ns)
    mean = {one: statistics.fmean(sorted(own)) for one, own in times.items()}  # sorted: sums round alike in any order
    ids = sorted(mean, key=lambda one: (mean[one], one))
    tier = {time: number for number, time in enumerate(sorted(set(mean.values())))}
    labels = [
        RuntimeLabel(
            solution_id=one,
            runtime_ns=mean[one],
            low_ns=min(mean[one], *times[one]),  # a mean of equals may be off by a last bit
            high_ns=max(mean[one], *times[one]),
            rounds=len(times[one]),
            tier=tier[mean[one]],
            flags=[FLAG],
        )
        for one in ids
    ]
    return ProblemLabels(tasks.pop(), labels, [_compare(a, b) for a, b in combinations(labels, 2)])


def _compare(quick: RuntimeLabel, slow: RuntimeLabel) -> Comparison:
    ratio = slow.runtime_ns / quick.runtime_ns
    return Comparison(
        quick_id=quick.solution_id,
        slow_id=slow.solution_id,
        ratio=ratio,
        low=min(ratio, slow.low_ns / quick.high_ns),
        high=max(ratio, slow.high_ns / quick.low_ns),
        rounds=min(quick.rounds, slow.rounds),
        decision=Decision.QUICK if slow.runtime_ns > quick.runtime_ns else Decision.SAME,
    )
