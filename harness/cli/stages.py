"""What each command does: find the folders, load the problems, call the stage, show what came of it.

Stages are imported where they are called: torch alone takes seconds to load, and most commands don't need it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from rich.console import Console

from harness.cli.asked import Cores, Drawing, Timed, Where
from harness.cli.tables import pairs_of_words, print_counts
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import Problem, Sample, TimingMethod
from harness.store import Manifest, locked, read_rows

if TYPE_CHECKING:
    from harness.annotation.settings import AnnotationSettings
    from harness.annotation.stage import Engine
    from harness.evaluation.results import Results
    from harness.evaluation.stage import EvaluatedModel, EvaluationRequest
    from harness.merging.merge import MergeSettings
    from harness.sampling.written import Origin

SAMPLES, REJECTED = "samples.jsonl", "rejected.jsonl"
BASE = "base"  # the name that results use for the model that training started from


# --- sample -----------------------------------------------------------------------------------------------------


def sample(
    where: Where,
    how: Drawing,
    tell: Reporter,
    *,
    source: Origin | None = None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """source: the model, where it is not to be loaded into this process."""
    settings = how.settings()
    for split, problems in where.problems().items():
        folder = where.paths.samples(split)
        if dry_run:
            had = 0 if overwrite else sum(1 for _ in read_rows(folder / SAMPLES, Sample))
            wanted = len(problems) * how.n_seq
            tell.say(
                f"sample {split}: {len(problems)} problems × {how.n_seq} = {wanted} samples of {how.model_path} "
                f"into {folder} ({had} are there)"
            )
            continue
        from harness.sampling.stage import sample as draw

        draw(
            problems, settings, folder, model_path=how.model_path, reporter=tell, overwrite=overwrite, source=source
        )
        tell.say(f"samples: {folder / SAMPLES}")


# --- annotate, merge --------------------------------------------------------------------------------------------


def annotate(
    where: Where,
    seed: int,
    cores: Cores,
    tell: Reporter,
    *,
    timed: Timed | None = None,
    engine: Engine | None = None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """engine: where it takes place; None: on this machine, on `cores`."""
    from harness.annotation.stage import annotate as judge_and_time

    settings = (timed or Timed()).settings(seed, cores)
    by_split = where.problems()
    for split, problems in by_split.items():
        folder = where.paths.samples(split)
        there = _lines(folder / SAMPLES)
        if there == 0 and not dry_run:
            fix = "run `sample` first, or give --samples FILE"
            raise UserError("there are no samples", where=str(folder / SAMPLES), fix=fix)
        if dry_run:
            done = 0 if overwrite else _lines(folder / "executions.jsonl")
            tell.say(f"annotate {split}: {there} samples of {len(problems)} problems in {folder} ({done} judged)")
            continue
        summary = judge_and_time(
            problems,
            folder,
            settings=settings,
            reporter=tell,
            cores=cores.all,
            overwrite=overwrite,
            engine=engine,
        )
        print_counts(f"Verdicts, {split}", summary.verdicts)
        count = f"{summary.solutions_timed} solutions of {summary.problems_timed} problems timed"
        if settings.method is TimingMethod.LEGACY:
            tell.say(f"{count} by the published method, for comparison only; passes: {pairs_of_words(summary.passes)}")
        else:
            tell.say(f"{count} in {summary.blocks} blocks, {summary.contaminated} of them disturbed and repeated")
    if not dry_run:
        merge_splits(where, by_split, tell)


def merge_splits(where: Where, by_split: Mapping[str, Sequence[Problem]], tell: Reporter) -> None:
    """The training data of splits that are annotated, with the settings that `annotate` merges with."""
    from harness.merging.merge import MergeSettings

    _merge(where, by_split, MergeSettings(), tell)


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as stream:
        return sum(data.count(b"\n") for data in iter(lambda: stream.read(1 << 20), b""))


def merge(where: Where, keep: MergeSettings, tell: Reporter) -> None:
    _merge(where, where.problems(), keep, tell)


def _merge(where: Where, by_split: Mapping[str, Sequence[Problem]], keep: MergeSettings, tell: Reporter) -> None:
    from harness.exchange.importing import is_imported
    from harness.merging.stage import MergeStageSettings
    from harness.merging.stage import merge as merge_split

    for split, problems in by_split.items():
        samples, datasets = where.paths.samples(split), where.paths.datasets(split)
        annotated = _annotated_with(samples)
        settings = MergeStageSettings(keep=keep, method=annotated.method, decisions=annotated.decision)
        if is_imported(datasets):
            raise UserError(
                "this folder's training data were imported; merging would replace them",
                where=str(datasets),
                fix="give another --save_path, or remove the folder",
            )
        with locked(samples), locked(datasets):
            summary = merge_split(problems, samples, datasets, settings=settings, reporter=tell)
        share = summary.undecided_share
        print_counts(
            f"Merged, {split}",
            {
                "problems kept": f"{summary.kept['problems']} of {summary.problems}",
                "answers kept": f"{summary.kept['passing']} passing, {summary.kept['failing']} failing",
                "left out": pairs_of_words(summary.dropped) or "none",
                "comparisons": pairs_of_words(summary.comparisons) or "none",
                "undecided": "–" if share is None else f"{share:.1%}",
                "pairs": pairs_of_words(summary.pairs) or "none",
            },
        )
        tell.say(f"training data: {datasets}")


# --- eval, report -----------------------------------------------------------------------------------------------


def evaluate(
    where: Where,
    how: Drawing,
    names: Sequence[str] | None,
    cores: Cores,
    tell: Reporter,
    *,
    timed: Timed | None = None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    from harness.evaluation.stage import EvaluatedModel, evaluate_models, trained_models

    models = [EvaluatedModel(BASE, how.model_path), *_chosen(trained_models(where.paths.models), names, where)]
    ((split, problems),) = where.problems().items()
    folder = where.paths.evals(split)
    if len(models) == 1:
        tell.warn(f"no trained model in {where.paths.models}: only the base is evaluated")
    if dry_run:
        listing = ", ".join(f"{model.name} ({model.path})" for model in models)
        tell.say(f"eval {split}: {len(problems)} problems × {how.n_seq} samples of {listing} into {folder}")
        return
    with locked(folder):
        results = evaluate_models(
            problems,
            models,
            folder,
            sampling=how.settings(),
            annotation=(timed or Timed()).settings(how.seed, cores),
            request=_request(where, split),
            reporter=tell,
            cores=cores.all,
            overwrite=overwrite,
        )
    _show(results, folder, tell)


def _chosen(found: Sequence[EvaluatedModel], names: Sequence[str] | None, where: Where) -> list[EvaluatedModel]:
    if names is None:
        return list(found)
    by_name = {model.name: model for model in found}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        there = ", ".join(by_name) or "none"
        raise UserError(f"no model {', '.join(unknown)}", where=str(where.paths.models), fix=f"trained so far: {there}")
    return [by_name[name] for name in names]


def report(where: Where, tell: Reporter) -> None:
    from harness.evaluation.stage import report as write_report

    ((split, problems),) = where.problems().items()
    folder = where.paths.evals(split)
    models = list(dict.fromkeys(row.model for row in read_rows(folder / SAMPLES, Sample)))
    models.sort(key=lambda name: name != BASE)
    annotation = _annotated_with(folder)
    with locked(folder) if models else nullcontext():  # a folder that is not there is not made
        results = write_report(problems, models, folder, annotation=annotation, request=_request(where, split))
    _show(results, folder, tell)


# --- stress -----------------------------------------------------------------------------------------------------


def stress(
    where: Where,
    seed: int,
    cores: Cores,
    tell: Reporter,
    *,
    evaluated: bool,
    timing_seconds: float | None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """evaluated: the solutions of `eval`, else those of `annotate`."""
    from harness.stress.settings import StressSettings
    from harness.stress.stage import STRESS
    from harness.stress.stage import stress as stress_split

    for split, problems in where.problems().items():
        folder = where.paths.evals(split) if evaluated else where.paths.samples(split)
        if dry_run:
            tell.say(f"stress {split}: larger inputs for {len(problems)} problems in {folder}")
            continue
        annotation = replace(_annotated_with(folder), timing_cores=cores.timing, timing_seconds=timing_seconds)
        summary = stress_split(
            problems,
            folder,
            settings=StressSettings(seed=seed),
            annotation=annotation,
            reporter=tell,
            cores=cores.all,
            overwrite=overwrite,
        )
        print_counts(
            f"Stress, {split}",
            {
                "problems": f"{summary.grown} of {summary.problems} with larger inputs",
                "twofold apart": f"{summary.twofold} (on their own calls: {summary.base_twofold})",
                "right on small inputs only": f"{summary.dissenters} solutions",
            },
        )
        tell.say(f"stress: {folder / STRESS}")
        if evaluated:
            tell.say("next: `report` shows it beside the other results")


def _annotated_with(folder: Path) -> AnnotationSettings:
    """The settings that a folder's measurements were made with, not today's defaults."""
    from harness.annotation.settings import AnnotationSettings

    recorded = Manifest(folder).stage("annotate").get("settings", {})
    return TypeAdapter(AnnotationSettings).validate_python(recorded)


def _request(where: Where, split: str) -> EvaluationRequest:
    from harness.evaluation.stage import EvaluationRequest

    return EvaluationRequest(
        title=where.save_path,
        data=where.data_path,
        split=split,
        command=shlex.join(["code-optimise", *sys.argv[1:]]),
        host=host_facts(where.root),
    )


def host_facts(root: Path) -> dict[str, Any]:
    """What a reader of a report should know of the machine that measured."""
    from harness.doctor.gather import gather

    facts = gather(root)
    return {
        "system": facts.system,
        "logical CPUs": facts.cpus,
        "CPUs allowed": len(facts.allowed) if facts.allowed else None,
        "virtualisation": facts.virtualisation or "none",
        "clock source": facts.clocksource,
        "governor": facts.governor or "not visible",
        "Docker engine": facts.engine.version,
        "cgroups": facts.engine.cgroup_version,
        "sandbox image": facts.engine.image,
        "base image": facts.engine.base,
        "Python": facts.python,
    }


def _show(results: Results, folder: Path, tell: Reporter) -> None:
    from harness.report.console import console_table

    Console().print(console_table(results))
    tell.say(f"report: {folder / 'report.html'}")
