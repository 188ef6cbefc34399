"""Held-out tests: each sample that passes its problem's own test is run once more, on the test that it was not shown.

One row a sample in held_out.jsonl, of the form of executions.jsonl. No verdict of the evaluation depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.annotation.executing import execute, latest_executions
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import EXECUTIONS, SAMPLES, claimed
from harness.progress import Reporter
from harness.records import ExecutionRow, Problem, Sample
from harness.store import Manifest, locked, read_rows
from sandbox import Limits, Sandbox, Verdict

HELD_OUT = "held_out.jsonl"


def judge_held_out(
    problems: Sequence[Problem],
    folder: Path,
    *,
    settings: AnnotationSettings,
    reporter: Reporter,
    cores: Sequence[int] | None = None,
    overwrite: bool = False,
) -> None:
    """Run the held-out tests of an annotated folder's passing samples that have not been run. Nothing to run: no file.

    Limits are the evaluation's own, with more wall time, for the canonical solution works in the test meanwhile. Raises
    UserError for cores that another run has, and SandboxError.
    """
    path = folder / HELD_OUT
    if overwrite:
        path.unlink(missing_ok=True)
    held_out = {
        problem.task_id: replace(problem, test=problem.held_out) for problem in problems if problem.held_out is not None
    }
    ran, done = latest_executions(folder / EXECUTIONS), latest_executions(path)
    samples = [
        sample
        for sample in read_rows(folder / SAMPLES, Sample)
        if sample.task_id in held_out and sample.key in ran and ran[sample.key].verdict == Verdict.PASSED
    ]
    if all(sample.key in done and done[sample.key].verdict != Verdict.INTERNAL for sample in samples):
        return
    with (
        locked(folder),
        claimed(cores, settings.timing_cores, reporter) as placement,
        Sandbox(cores=placement.judging, limits=held_out_limits(settings.limits)) as sandbox,
    ):
        verdicts = execute(held_out, samples, len(samples), path, sandbox, reporter)
    Manifest(folder).note("held_out", problems=len(held_out), verdicts=dict(sorted(verdicts.items())))


def held_out_limits(limits: Limits) -> Limits:
    """A run's limits with twice the wall time: the test calls two solutions in turn."""
    return replace(limits, wall_seconds=2 * limits.wall_seconds)


def held_out_rows(problems: Sequence[Problem], folder: Path) -> list[ExecutionRow] | None:
    """The folder's held-out verdicts, the last of each sample; None where no held-out test was run.

    None, too, where a folder was evaluated by a version that knew of none."""
    if not any(problem.held_out is not None for problem in problems) or not (folder / HELD_OUT).exists():
        return None
    return list(latest_executions(folder / HELD_OUT).values())
