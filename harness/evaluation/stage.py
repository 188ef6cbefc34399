"""The eval stage: sample every model on the same problems, judge and time them together, compare, report.

All models' samples live in one run folder and a problem's passing solutions of all models are timed in the same blocks,
so that a speed-up is a ratio of times taken side by side, not of two runs on two days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.annotation.executing import latest_executions
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import EXECUTIONS, MEASUREMENTS, SAMPLES, annotate, read_labels
from harness.errors import UserError
from harness.evaluation.compare import supported_ks
from harness.evaluation.folders import record_problems
from harness.evaluation.held_out import held_out_rows, judge_held_out
from harness.evaluation.results import Results, evaluate
from harness.progress import Reporter
from harness.records import MeasurementBlock, Problem, Sample
from harness.report.context import ReportContext, pick_examples
from harness.report.render import render
from harness.sampling.settings import SamplingSettings
from harness.sampling.stage import sample
from harness.store import Manifest, read_rows
from harness.stress.records import StressResult
from harness.stress.stage import STRESS


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """A model under the name that the results use for it. The first of a list is the base."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What is shown in the report beside the results."""

    title: str
    data: str
    split: str
    command: str = ""
    host: Mapping[str, Any] | None = None


def trained_models(folder: Path) -> list[EvaluatedModel]:
    """The finished models of an experiment, SFT first, then by name.

    What `train` works on is not finished before its training.json is there: a killed run may have left a config.json
    beside half of the weights. A folder that came from elsewhere has no manifest.
    """
    if not folder.is_dir():
        return []
    by_kind = sorted(folder.iterdir(), key=lambda path: (not path.name.startswith("sft"), path.name))
    models = (path for path in by_kind if (path / "config.json").exists())
    finished = (path for path in models if (path / "training.json").exists() or not (path / "manifest.json").exists())
    return [EvaluatedModel(path.name, str(path)) for path in finished]


def evaluation_settings(settings: AnnotationSettings) -> AnnotationSettings:
    """Every problem with a passing solution is timed: a speed-up needs a run time, not a preference pair."""
    return replace(settings, min_passing=1, min_failing=0)


def evaluate_models(
    problems: Sequence[Problem],
    models: Sequence[EvaluatedModel],
    folder: Path,
    *,
    sampling: SamplingSettings,
    annotation: AnnotationSettings,
    request: EvaluationRequest,
    reporter: Reporter,
    cores: Sequence[int] | None = None,
    overwrite: bool = False,
) -> Results:
    """Sample, annotate and compare; writes samples … report.html to `folder`. Resumes like the stages it is made of."""
    if not models:
        raise UserError("no model to evaluate", where=str(folder), fix="give --model_path")
    record_problems(folder, problems, request.data, request.split, overwrite=overwrite)
    for model in models:
        sample(
            problems,
            sampling,
            folder,
            model_path=model.path,
            model_name=model.name,
            reporter=reporter,
            overwrite=overwrite,
        )
    annotate(
        problems,
        folder,
        settings=evaluation_settings(annotation),
        reporter=reporter,
        cores=cores,
        overwrite=overwrite,
    )
    judge_held_out(problems, folder, settings=annotation, reporter=reporter, cores=cores, overwrite=overwrite)
    return report(problems, [model.name for model in models], folder, annotation=annotation, request=request)


def report(
    problems: Sequence[Problem],
    models: Sequence[str],
    folder: Path,
    *,
    annotation: AnnotationSettings,
    request: EvaluationRequest,
) -> Results:
    """Results and report from what a folder holds; measures nothing."""
    samples = list(read_rows(folder / SAMPLES, Sample))
    if not samples:
        raise UserError("there are no samples", where=str(folder), fix="run `eval` first")
    executions = list(latest_executions(folder / EXECUTIONS).values())
    labels = read_labels(folder, annotation)
    blocks = list(read_rows(folder / MEASUREMENTS, MeasurementBlock))
    stress = list(read_rows(folder / STRESS, StressResult))
    results = evaluate(
        problems,
        samples,
        executions,
        labels,
        models,
        ks=supported_ks(samples, models),
        seed=annotation.seed,
        blocks=(sum(block.contaminated for block in blocks), len(blocks)),
        held_out=held_out_rows(problems, folder),
        limit_ns=1e9 * annotation.limits.cpu_seconds,
        stress=stress,
    )
    manifest = Manifest(folder)
    stages = (*(f"sample:{model}" for model in models), "annotate", "stress")
    facts = {name: stage for name in stages if (stage := manifest.stage(name))}
    context = ReportContext(
        title=request.title,
        data=request.data,
        split=request.split,
        facts=facts,
        host=request.host or {},
        examples=pick_examples(problems, samples, executions, labels, models),
        stress=stress,
        command=request.command,
    )
    render(results, context, folder)
    return results
