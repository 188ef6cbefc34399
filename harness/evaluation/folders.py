"""Run folders as sources of a comparison: what they hold, and the record of the problems they were judged on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from harness.annotation.executing import latest_executions
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import EXECUTIONS, MEASUREMENTS, SAMPLES, read_labels
from harness.errors import UserError
from harness.evaluation.compare import Source, changed_problems, held_out_digests, problem_digest
from harness.evaluation.held_out import HELD_OUT
from harness.paths import data_name
from harness.records import MeasurementBlock, Problem, Sample
from harness.store import Manifest, read_rows
from harness.stress.records import StressResult
from harness.stress.stage import STRESS
from sandbox import Verdict

PROBLEMS = "problems"  # the manifest's stage that keeps their digests


def record_problems(
    folder: Path, problems: Sequence[Problem], data_path: str, split: str, *, overwrite: bool = False
) -> None:
    """Keep digests of what is about to be judged. Raises UserError where the folder knows one of them as another."""
    manifest = Manifest(folder)
    facts = {} if overwrite else manifest.stage(PROBLEMS).get("facts", {})
    known: dict[str, str] = facts.get("digests", {})
    known_held_out: dict[str, str] = facts.get("held_out_digests", {})
    changed = changed_problems(problems, known, known_held_out)
    if changed:
        raise UserError(
            f"{len(changed)} problems have another prompt, test or held-out test now than when this folder was made: "
            f"{', '.join(changed[:3])}{', …' if len(changed) > 3 else ''}",
            where=str(folder),
            fix="give another --save_path, or --overwrite",
        )
    manifest.note(
        PROBLEMS,
        data_path=data_path,
        split=split,
        digests=known | {problem.task_id: problem_digest(problem) for problem in problems},
        held_out_digests=known_held_out | held_out_digests(problems),
    )


def read_source(folder: Path, label: str) -> Source:
    """What a folder of `eval` holds. Raises UserError for a folder without samples."""
    samples = list(read_rows(folder / SAMPLES, Sample))
    if not samples:
        fix = "name a folder that `eval` made: <root>/evals/<save_path>/<data>/<split>"
        raise UserError("there are no samples", where=str(folder), fix=fix)
    manifest = Manifest(folder)
    annotated = manifest.stage("annotate")
    settings: AnnotationSettings = TypeAdapter(AnnotationSettings).validate_python(annotated.get("settings", {}))
    problems = manifest.stage(PROBLEMS).get("facts", {})
    blocks = list(read_rows(folder / MEASUREMENTS, MeasurementBlock))
    executions = list(latest_executions(folder / EXECUTIONS).values())
    held_out = None
    if (folder / HELD_OUT).exists():
        held_out = list(latest_executions(folder / HELD_OUT).values())
    elif executions and not any(row.verdict == Verdict.PASSED for row in executions):
        held_out = []  # nothing passed, so there was nothing to run them on
    place = folder.resolve()
    data_path = problems.get("data_path", place.parent.name)
    return Source(
        label=label,
        where=str(folder),
        data=data_name(data_path),
        split=problems.get("split", place.name),
        samples=samples,
        executions=executions,
        labels=read_labels(folder, settings),
        calls={
            (block.task_id, timing.solution_id): (timing.calls, timing.calls_digest)
            for block in blocks
            for timing in block.solutions
            if timing.cpu_ns
        },
        digests=problems.get("digests", {}),
        method=settings.method,
        base_image=str(annotated.get("facts", {}).get("base", "")),
        blocks=(sum(block.contaminated for block in blocks), len(blocks)),
        data_path=data_path,
        held_out=held_out,
        held_out_digests=problems.get("held_out_digests", {}),
        limit_ns=1e9 * settings.limits.cpu_seconds,
        stress=list(read_rows(folder / STRESS, StressResult)),
    )


def short_labels(folders: Sequence[Path]) -> list[str]:
    """What tells the folders apart, in few words: the parts of their paths that are not the same in all.

    Raises UserError for a folder that is named twice.
    """
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < len(places):
        fix = "name its models in one go: FOLDER:A,B"
        raise UserError("a folder is named twice", where=", ".join(map(str, folders)), fix=fix)
    parts = [place.parts for place in places]
    if len({len(words) for words in parts}) > 1:
        return ["/".join(words[1:]) for words in parts]
    telling = [position for position, words in enumerate(zip(*parts, strict=True)) if len(set(words)) > 1]
    return ["/".join(words[position] for position in telling) or words[-1] for words in parts]
