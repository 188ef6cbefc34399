"""Time the passing solutions by the published method, for comparison: one row a pass in legacy.jsonl, resumable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from harness.annotation.executing import job_for
from harness.annotation.measuring import ProblemState
from harness.progress import Reporter
from harness.records import LegacyOutcome, LegacyTiming, ProblemLabels
from harness.store import AppendFile, read_rows
from harness.timing.legacy import latest, legacy_labels, measure_legacy, passes_of
from sandbox import Job

LEGACY = "legacy.jsonl"


def measure_passes(states: Iterable[ProblemState], path: Path, cores: Sequence[int], reporter: Reporter) -> None:
    """Measure the passes that `path` has no row for; INTERNAL ones are run again. Raises SandboxError."""
    there = {row.key for row in latest(read_rows(path, LegacyTiming)) if row.outcome is not LegacyOutcome.INTERNAL}
    total = left = 0
    for run in passes_of(lambda: _solutions(states)):
        total += 1
        left += run.key not in there
    todo = (run for run in passes_of(lambda: _solutions(states)) if run.key not in there)
    with (
        AppendFile(path) as output,
        reporter.task("legacy timing", total, done=total - left, unit="passes") as task,
    ):
        without = 0
        for row in measure_legacy(cores, todo) if left else ():  # no containers for nothing
            output.append(row)
            without += row.outcome is not LegacyOutcome.MEASURED
            task.advance(note=f"{without} without a measurement" if without else "")


def _solutions(states: Iterable[ProblemState]) -> Iterator[tuple[str, str, Job]]:
    for state in states:
        for solution_id, completion in state.completions.items():
            yield state.problem.task_id, solution_id, job_for(state.problem, completion)


def pass_outcomes(path: Path) -> dict[str, int]:
    """Passes by outcome, a later row in place of an earlier one."""
    return dict(sorted(Counter(str(row.outcome) for row in latest(read_rows(path, LegacyTiming))).items()))


def labels_by_task(rows: Iterable[LegacyTiming]) -> Mapping[str, ProblemLabels]:
    by_task: dict[str, list[LegacyTiming]] = {}
    for row in rows:
        by_task.setdefault(row.task_id, []).append(row)
    return {task_id: legacy_labels(own) for task_id, own in by_task.items()}
