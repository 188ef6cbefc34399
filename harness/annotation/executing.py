"""Judge every sample once: one execution row each, appended as it comes."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.progress import Reporter
from harness.records import ExecutionRow, Problem, Sample
from harness.store import AppendFile, read_rows
from harness.timing.solution_id import solution_id
from sandbox import Execution, Job, Sandbox, Verdict

INTERNAL_SHARE_LIMIT = 0.05  # more of our own failures than this is an alarm, not a footnote


def job_for(problem: Problem, completion: str) -> Job:
    return Job(
        program=problem.prompt + completion, test=problem.test, entry_point=problem.entry_point, prompt=problem.prompt
    )


def execute(
    problems: Mapping[str, Problem],
    samples: Iterable[Sample],
    total: int,
    path: Path,
    sandbox: Sandbox,
    reporter: Reporter,
) -> Counter[str]:
    """Run the samples that `path` has no row for; verdicts of all rows, old and new, by count.

    INTERNAL rows of an earlier run are run again: they say nothing about the solution. Samples of unknown problems are
    left out and counted under "unknown problem".
    """
    judged = Judged(path)
    done, verdicts = judged.count, judged.verdicts
    waiting: deque[Sample] = deque()
    unknown = 0

    def jobs() -> Iterator[Job]:
        nonlocal unknown
        for sample in samples:
            problem = problems.get(sample.task_id)
            if problem is None:
                unknown += 1
            elif not judged.has(sample):
                waiting.append(sample)
                yield job_for(problem, sample.completion)

    with AppendFile(path) as output, reporter.task("running", total, done=done, unit="solutions") as task:
        for execution in sandbox.run_many(jobs()):
            row = execution_row(waiting.popleft(), execution, problems)
            output.append(row)
            verdicts[row.verdict] += 1
            task.advance(note=f"{verdicts[Verdict.PASSED]} passed")
    if unknown:
        verdicts["unknown problem"] = unknown
        reporter.warn(f"{unknown} samples belong to problems that are not in the data set; they were not run")
    warn_of_internal(verdicts, reporter)
    return verdicts


def warn_of_internal(verdicts: Counter[str], reporter: Reporter) -> None:
    if verdicts[Verdict.INTERNAL] > INTERNAL_SHARE_LIMIT * max(1, verdicts.total()):
        reporter.warn(f"{verdicts[Verdict.INTERNAL]} of {verdicts.total()} runs came to nothing (INTERNAL)")


class Judged:
    """Which samples a file has verdicts of: INTERNAL ones are none. A later row for a sample replaces an earlier one.

    Takes some hundred bytes a sample.
    """

    def __init__(self, path: Path) -> None:
        self._latest: dict[tuple[str, str], dict[int, str]] = {}  # of a model's samples of a problem, by number
        for row in read_rows(path, ExecutionRow):
            own = self._latest.setdefault((sys.intern(row.model), row.task_id), {})
            own[row.sample_id] = sys.intern(row.verdict)

    def has(self, sample: Sample) -> bool:
        verdict = self._latest.get((sample.model, sample.task_id), {}).get(sample.sample_id, Verdict.INTERNAL)
        return verdict != Verdict.INTERNAL

    @property
    def verdicts(self) -> Counter[str]:
        every = Counter[str](verdict for own in self._latest.values() for verdict in own.values())
        del every[Verdict.INTERNAL]
        return every

    @property
    def internal(self) -> int:
        return sum(verdict == Verdict.INTERNAL for own in self._latest.values() for verdict in own.values())

    @property
    def count(self) -> int:
        return self.verdicts.total()


def latest_executions(path: Path) -> dict[tuple[str, str, int], ExecutionRow]:
    """The last row for each sample, in file order of the first."""
    return {row.key: row for row in read_rows(path, ExecutionRow)}


def execution_row(sample: Sample, execution: Execution, problems: Mapping[str, Problem]) -> ExecutionRow:
    problem = problems[sample.task_id]
    return ExecutionRow(
        task_id=sample.task_id,
        sample_id=sample.sample_id,
        model=sample.model,
        solution_id=solution_id(problem.prompt + sample.completion, problem.entry_point),
        verdict=execution.verdict,
        integrity=execution.integrity,
        weak_reason=execution.weak_reason,
        termination=execution.termination,
        message=execution.message,
        cpu_ns=execution.cpu_ns,
        wall_ns=execution.wall_ns,
        max_rss_bytes=execution.max_rss_bytes,
        stdout_bytes=execution.stdout_bytes,
        attempts=execution.attempts,
    )
