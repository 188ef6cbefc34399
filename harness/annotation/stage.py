"""The annotate stage: samples.jsonl → executions.jsonl → measurements.jsonl, each resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.annotation.executing import execute, latest_executions
from harness.annotation.measuring import measure, passing_solutions
from harness.annotation.settings import AnnotationSettings
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import MeasurementBlock, Problem, ProblemLabels, Sample
from harness.store import Manifest, locked, read_rows
from harness.timing.decisions import decide
from harness.timing.schedule import current_blocks
from sandbox import Sandbox, allowed_cores

SAMPLES, EXECUTIONS, MEASUREMENTS = "samples.jsonl", "executions.jsonl", "measurements.jsonl"


@dataclass(frozen=True, slots=True)
class AnnotationSummary:
    verdicts: dict[str, int]  # all samples of the folder
    problems_timed: int
    solutions_timed: int
    blocks: int
    contaminated: int


def annotate(
    problems: Sequence[Problem],
    folder: Path,
    *,
    settings: AnnotationSettings,
    reporter: Reporter,
    cores: Sequence[int] | None = None,
    overwrite: bool = False,
) -> AnnotationSummary:
    """Judge and time the samples of a run folder. Running it again goes on where it stopped.

    cores: the cores to use; default: all that this process may use.
    Raises UserError for a folder annotated with other settings, SandboxError where the sandbox can't be had.
    """
    foreign = sorted(set(settings.timing_cores or ()) - set(cores if cores is not None else allowed_cores()))
    if foreign:
        raise UserError(
            f"cores {foreign} are not among the sandbox's", where="--timing_cores", fix="add them to --cores"
        )
    with locked(folder):
        manifest = Manifest(folder)
        manifest.begin("annotate", settings.recorded(), overwrite=overwrite)
        if overwrite:
            for name in (EXECUTIONS, MEASUREMENTS):
                (folder / name).unlink(missing_ok=True)
        known = {problem.task_id: problem for problem in problems}
        samples = list(read_rows(folder / SAMPLES, Sample))
        with Sandbox(cores=cores, limits=settings.limits) as sandbox:
            manifest.note("annotate", image=sandbox.image.tag, image_id=sandbox.image.id, base=sandbox.image.base)
            verdicts = execute(known, samples, len(samples), folder / EXECUTIONS, sandbox, reporter)
            states = passing_solutions(known, samples, latest_executions(folder / EXECUTIONS), settings)
            measure(states, folder / MEASUREMENTS, sandbox, settings, reporter)
        blocks = list(read_rows(folder / MEASUREMENTS, MeasurementBlock))
        summary = AnnotationSummary(
            verdicts=dict(sorted(verdicts.items())),
            problems_timed=len(states),
            solutions_timed=sum(len(state.completions) for state in states),
            blocks=len(blocks),
            contaminated=sum(block.contaminated for block in blocks),
        )
        manifest.note(
            "annotate", verdicts=summary.verdicts, blocks=summary.blocks, contaminated_blocks=summary.contaminated
        )
        return summary


def read_labels(path: Path, settings: AnnotationSettings) -> Mapping[str, ProblemLabels]:
    """The labels that a measurements file supports, by task_id."""
    by_task: dict[str, list[MeasurementBlock]] = {}
    for block in read_rows(path, MeasurementBlock):
        by_task.setdefault(block.task_id, []).append(block)
    return {task_id: decide(current_blocks(blocks), settings.decision) for task_id, blocks in by_task.items()}
