"""The annotate stage: samples.jsonl → executions.jsonl → measurements.jsonl (or legacy.jsonl), each resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.annotation.executing import execute, latest_executions
from harness.annotation.legacy import LEGACY, labels_by_task, measure_passes, pass_outcomes
from harness.annotation.measuring import measure, passing_solutions
from harness.annotation.settings import AnnotationSettings
from harness.core_locks import claim, read_siblings
from harness.doctor.look import check_machine, merged_warnings
from harness.errors import UserError
from harness.placement import Placement, place
from harness.progress import Reporter
from harness.records import LegacyTiming, MeasurementBlock, Problem, ProblemLabels, Sample, TimingMethod
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
    passes: dict[str, int]  # of the published method, by outcome; empty where our own timed


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

    cores: the cores to use, which nobody else may be using; default: those that this process may use and no other run
    has. Raises UserError for a folder annotated with other settings, for cores that another run has, and for a machine
    that `doctor` finds unfit; SandboxError where the sandbox can't be had.
    """
    with locked(folder), claimed(cores, settings.timing_cores, reporter) as placement:
        settings = replace(settings, timing_cores=placement.timing)
        warnings = check_machine(folder, placement.judging[0], reporter.warn)
        manifest = Manifest(folder)
        manifest.begin("annotate", settings.recorded(), overwrite=overwrite)
        earlier = () if overwrite else manifest.stage("annotate")["facts"].get("warnings", ())
        manifest.note("annotate", warnings=merged_warnings(earlier, warnings))
        if overwrite:
            for name in (EXECUTIONS, MEASUREMENTS, LEGACY):
                (folder / name).unlink(missing_ok=True)
        known = {problem.task_id: problem for problem in problems}
        samples = list(read_rows(folder / SAMPLES, Sample))
        with Sandbox(cores=placement.judging, limits=settings.limits) as sandbox:
            manifest.note("annotate", image=sandbox.image.tag, image_id=sandbox.image.id, base=sandbox.image.base)
            verdicts = execute(known, samples, len(samples), folder / EXECUTIONS, sandbox, reporter)
            states = passing_solutions(known, samples, latest_executions(folder / EXECUTIONS), settings)
            if settings.method is TimingMethod.LEGACY:
                measure_passes(states, folder / LEGACY, placement.timing, reporter)
            else:
                measure(states, folder / MEASUREMENTS, sandbox, settings, reporter)
        blocks = list(read_rows(folder / MEASUREMENTS, MeasurementBlock))
        summary = AnnotationSummary(
            verdicts=dict(sorted(verdicts.items())),
            problems_timed=len(states),
            solutions_timed=sum(len(state.completions) for state in states),
            blocks=len(blocks),
            contaminated=sum(block.contaminated for block in blocks),
            passes=pass_outcomes(folder / LEGACY),
        )
        manifest.note(
            "annotate", verdicts=summary.verdicts, blocks=summary.blocks, contaminated_blocks=summary.contaminated
        )
        if summary.passes:
            manifest.note("annotate", legacy_passes=summary.passes)
        return summary


@contextmanager
def claimed(
    cores: Sequence[int] | None, timing_cores: Sequence[int] | None, reporter: Reporter
) -> Iterator[Placement]:
    """Who does what on which core, all of them held against other runs while the block lasts.

    cores: None: all that this process may use and no other run has. timing_cores: those of them that time; None: as
    harness.placement chooses. Raises UserError for cores that another run has, or that are not the sandbox's.
    """
    cpus = cores if cores is not None else allowed_cores()
    if foreign := sorted(set(timing_cores or ()) - set(cpus)):
        fix = "add them to --cores"
        raise UserError(f"cores {foreign} are not among the sandbox's", where="--timing_cores", fix=fix)
    siblings = read_siblings()
    needed = cores if cores is not None else timing_cores or ()
    with claim(cpus, needed=needed, siblings=siblings, say=reporter.say, warn=reporter.warn) as ours:
        yield place(ours, siblings, timing_cores)


def read_labels(folder: Path, settings: AnnotationSettings) -> Mapping[str, ProblemLabels]:
    """The labels that a run folder's measurements support, by task_id: those of the method that `settings` names."""
    if settings.method is TimingMethod.LEGACY:
        return labels_by_task(read_rows(folder / LEGACY, LegacyTiming))
    by_task: dict[str, list[MeasurementBlock]] = {}
    for block in read_rows(folder / MEASUREMENTS, MeasurementBlock):
        by_task.setdefault(block.task_id, []).append(block)
    return {task_id: decide(current_blocks(blocks), settings.decision) for task_id, blocks in by_task.items()}
