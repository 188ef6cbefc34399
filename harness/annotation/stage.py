"""The annotate stage: samples.jsonl → executions.jsonl → measurements.jsonl (or legacy.jsonl), each resumable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from harness.annotation.executing import execute
from harness.annotation.judged import JudgedProblems, SampleFile
from harness.annotation.legacy import LEGACY, labels_by_task, measure_passes, pass_outcomes
from harness.annotation.measuring import measure
from harness.annotation.settings import AnnotationSettings
from harness.core_locks import claim, read_siblings
from harness.doctor.look import check_machine, merged_warnings
from harness.errors import UserError
from harness.placement import Placement, place
from harness.progress import Reporter
from harness.records import LegacyTiming, MeasurementBlock, Problem, ProblemLabels, TimingMethod
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


@dataclass(frozen=True, slots=True)
class Work:
    """What an annotation is of: these problems' samples. Rows go to `folder`."""

    problems: Mapping[str, Problem]
    samples: SampleFile
    folder: Path
    settings: AnnotationSettings
    manifest: Manifest
    reporter: Reporter


class Crew(Protocol):
    """Those who judge and time, once they are there. warnings: what disturbs on their machines."""

    @property
    def warnings(self) -> Sequence[Mapping[str, str]]: ...

    def annotate(self, work: Work) -> tuple[Counter[str], JudgedProblems]:
        """Add the rows that are missing to the folder's files; verdicts by count, and what was timed."""


class Engine(Protocol):
    """Where an annotation takes place."""

    def crew(
        self, folder: Path, settings: AnnotationSettings, reporter: Reporter
    ) -> AbstractContextManager[Crew]:
        """Get hold of those who work. Raises UserError or SandboxError where they can't be had; nothing is changed."""


def annotate(
    problems: Sequence[Problem],
    folder: Path,
    *,
    settings: AnnotationSettings,
    reporter: Reporter,
    cores: Sequence[int] | None = None,
    overwrite: bool = False,
    samples: SampleFile | None = None,
    engine: Engine | None = None,
) -> AnnotationSummary:
    """Judge and time the samples of a run folder. Running it again goes on where it stopped.

    cores: the cores to use, which nobody else may be using; default: those that this process may use and no other run
    has. samples: default: the folder's own. engine: default: this machine. Raises UserError for a folder annotated with
    other settings, for cores that another run has, and for a machine that `doctor` finds unfit; SandboxError where the
    sandbox can't be had.
    """
    engine = engine or ThisMachine(cores)
    with locked(folder), engine.crew(folder, settings, reporter) as crew:
        manifest = Manifest(folder)
        manifest.begin("annotate", settings.recorded(), overwrite=overwrite)
        earlier = () if overwrite else manifest.stage("annotate")["facts"].get("warnings", ())
        manifest.note("annotate", warnings=merged_warnings(earlier, crew.warnings))
        if overwrite:
            for name in (EXECUTIONS, MEASUREMENTS, LEGACY):
                (folder / name).unlink(missing_ok=True)
        known = {problem.task_id: problem for problem in problems}
        of = samples or SampleFile(folder / SAMPLES)
        verdicts, timed = crew.annotate(Work(known, of, folder, settings, manifest, reporter))
        blocks = contaminated = 0
        for block in read_rows(folder / MEASUREMENTS, MeasurementBlock):
            blocks += 1
            contaminated += block.contaminated
        summary = AnnotationSummary(
            verdicts=dict(sorted(verdicts.items())),
            problems_timed=len(timed.task_ids),
            solutions_timed=timed.solutions,
            blocks=blocks,
            contaminated=contaminated,
            passes=pass_outcomes(folder / LEGACY),
        )
        manifest.note(
            "annotate", verdicts=summary.verdicts, blocks=summary.blocks, contaminated_blocks=summary.contaminated
        )
        if summary.passes:
            manifest.note("annotate", legacy_passes=summary.passes)
        return summary


class ThisMachine:
    """The engine that needs nothing else. cores: None: those that this process may use and no other run has."""

    def __init__(self, cores: Sequence[int] | None = None) -> None:
        self._cores = cores

    @contextmanager
    def crew(self, folder: Path, settings: AnnotationSettings, reporter: Reporter) -> Iterator[Crew]:
        with claimed(self._cores, settings.timing_cores, reporter) as placement:
            yield _OnCores(placement, check_machine(folder, placement.judging[0], reporter.warn))


@dataclass(frozen=True, slots=True)
class _OnCores:
    placement: Placement
    warnings: Sequence[Mapping[str, str]]

    def annotate(self, work: Work) -> tuple[Counter[str], JudgedProblems]:
        settings = replace(work.settings, timing_cores=self.placement.timing)
        executions = work.folder / EXECUTIONS
        with Sandbox(cores=self.placement.judging, limits=settings.limits) as sandbox:
            note_image(work.manifest, sandbox.image.tag, sandbox.image.id, sandbox.image.base)
            total = work.samples.count()
            verdicts = execute(work.problems, work.samples, total, executions, sandbox, work.reporter)
            timed = JudgedProblems(work.problems, work.samples, executions, settings)
            if settings.method is TimingMethod.LEGACY:
                measure_passes(timed, work.folder / LEGACY, self.placement.timing, work.reporter)
            else:
                measure(timed, work.folder / MEASUREMENTS, sandbox, settings, work.reporter)
        return verdicts, timed


def note_image(manifest: Manifest, tag: str, image_id: str, base: str | None) -> None:
    manifest.note("annotate", image=tag, image_id=image_id, base=base)


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
