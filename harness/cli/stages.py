"""What each command does: find the folders, load the problems, call the stage, show what came of it.

Stages are imported where they are called: torch alone takes seconds to load, and most commands don't need it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from rich.console import Console

from harness.cli.tables import pairs_of_words, print_counts
from harness.errors import UserError
from harness.paths import RunPaths, data_name
from harness.problems import load_problems, select_problems
from harness.progress import ConsoleReporter, Reporter
from harness.records import Problem, Sample, TimingMethod
from harness.store import Manifest, locked, read_rows, write_rows

if TYPE_CHECKING:
    from harness.annotation.settings import AnnotationSettings
    from harness.evaluation.results import Results
    from harness.evaluation.stage import EvaluatedModel, EvaluationRequest
    from harness.sampling.settings import SamplingSettings

SAMPLES, REJECTED = "samples.jsonl", "rejected.jsonl"
BASE = "base"  # the name that results use for the model that training started from


@dataclass(frozen=True, slots=True)
class Where:
    """Which experiment on which problems."""

    root: Path
    save_path: str
    data_path: str
    splits: tuple[str, ...]
    limit: int | None = None
    task_ids: str | None = None

    def __post_init__(self) -> None:
        if not self.splits:
            raise UserError("no split is named", where="--split", fix="for example --split train,validation")
        if self.save_path in ("", ".", "..") or "/" in self.save_path:
            fix = "give a plain name; --root says where all of them are kept"
            raise UserError(f"{self.save_path!r} is not a name", where="--save_path", fix=fix)

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.root, self.save_path, data_name(self.data_path))

    def problems(self) -> dict[str, list[Problem]]:
        """The chosen problems by split, every asked-for split there. Raises UserError where none is chosen."""
        ids = self.task_ids.replace(",", " ").split() if self.task_ids is not None else None
        chosen = select_problems(load_problems(self.data_path, self.splits), limit=self.limit, task_ids=ids)
        by_split: dict[str, list[Problem]] = {split: [] for split in dict.fromkeys(self.splits)}
        for problem in chosen:
            by_split[problem.split].append(problem)
        return {split: problems for split, problems in by_split.items() if problems}


@dataclass(frozen=True, slots=True)
class Drawing:
    """The model to draw from, and how."""

    model_path: str
    n_seq: int
    n_iter: int
    temp: float
    max_new_tokens: int
    batch_size: int | None
    seed: int

    def settings(self) -> SamplingSettings:
        from harness.sampling.settings import SamplingSettings

        return SamplingSettings(
            n_seq=self.n_seq,
            n_iter=self.n_iter,
            temperature=self.temp,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
            batch_size=self.batch_size,
        )


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of the sandbox, and those of them that time; None: no choice made."""

    all: tuple[int, ...] | None = None
    timing: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, cores: str | None, timing: str | None) -> Cores:
        return cls(parse_cores(cores, "--cores"), parse_cores(timing, "--timing_cores"))


@dataclass(frozen=True, slots=True)
class Timed:
    """How passing solutions are timed, and for how many seconds at most (of a split)."""

    method: TimingMethod = TimingMethod.BLOCKS
    seconds: float | None = None

    def settings(self, seed: int, cores: Cores) -> AnnotationSettings:
        from harness.annotation.settings import AnnotationSettings

        return AnnotationSettings(
            seed=seed, method=self.method, timing_cores=cores.timing, timing_seconds=self.seconds
        )


def reporter() -> ConsoleReporter:
    return ConsoleReporter()


def parse_cores(text: str | None, option: str) -> tuple[int, ...] | None:
    """ "0,2-3" → (0, 2, 3); None: no choice made."""
    if text is None:
        return None
    cores: list[int] = []
    for part in text.replace(",", " ").split():
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise UserError(f"{part!r} is not a core or a range of cores", where=option, fix="for example 1,2,4-7")
        cores += range(int(first), int(last if dash else first) + 1)
    if not cores:
        raise UserError("no core is named", where=option, fix="for example 1,2,4-7")
    return tuple(dict.fromkeys(cores))


# --- sample -----------------------------------------------------------------------------------------------------


def sample(where: Where, how: Drawing, tell: Reporter, *, overwrite: bool, dry_run: bool) -> None:
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

        draw(problems, settings, folder, model_path=how.model_path, reporter=tell, overwrite=overwrite)
        tell.say(f"samples: {folder / SAMPLES}")


def import_file(where: Where, path: Path, model: str, tell: Reporter, *, overwrite: bool, dry_run: bool) -> None:
    """Make samples.jsonl of every split from someone else's file; rows of no use go to rejected.jsonl."""
    from harness.imports import RejectedRow, import_samples

    if not path.is_file():
        raise UserError("no such file", where=str(path), fix="--samples takes a JSONL or JSON file")
    by_split = where.problems()
    known = {problem.task_id: problem for problems in by_split.values() for problem in problems}
    rows: dict[str, list[Sample]] = {split: [] for split in by_split}
    rejected: list[RejectedRow] = []
    for row in import_samples(path, known, model):
        if isinstance(row, RejectedRow):
            rejected.append(row)
        else:
            rows[known[row.task_id].split].append(row)
    counts = ", ".join(f"{len(samples)} for {split}" for split, samples in rows.items())
    tell.say(f"import {path}: samples {counts}")
    if rejected:
        reasons = Counter(row.reason for row in rejected).most_common(3)
        listing = "; ".join(f"{count} × {reason}" for reason, count in reasons)
        tell.warn(f"{len(rejected)} rows gave no sample: {listing}; all in {REJECTED} beside the samples")
    if not any(rows.values()):
        raise UserError("no sample for any of the problems", where=str(path), fix="check --data_path and --split")
    if dry_run:
        return
    settings = {"imported": hashlib.sha256(path.read_bytes()).hexdigest()[:16], "model": model}
    for split, samples in rows.items():
        folder = where.paths.samples(split)
        with locked(folder):
            settings_here = settings | {"problems": len(by_split[split])}
            Manifest(folder).begin("sample", settings_here, overwrite=overwrite)
            write_rows(folder / SAMPLES, samples)
            write_rows(folder / REJECTED, rejected)


# --- annotate, merge --------------------------------------------------------------------------------------------


def annotate(
    where: Where,
    seed: int,
    cores: Cores,
    tell: Reporter,
    *,
    timed: Timed | None = None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    from harness.annotation.stage import annotate as judge_and_time

    settings = (timed or Timed()).settings(seed, cores)
    by_split = where.problems()
    for split, problems in by_split.items():
        folder = where.paths.samples(split)
        there = sum(1 for _ in read_rows(folder / SAMPLES, Sample))
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
        )
        print_counts(f"Verdicts, {split}", summary.verdicts)
        count = f"{summary.solutions_timed} solutions of {summary.problems_timed} problems timed"
        if settings.method is TimingMethod.LEGACY:
            tell.say(f"{count} by the published method, for comparison only; passes: {pairs_of_words(summary.passes)}")
        else:
            tell.say(f"{count} in {summary.blocks} blocks, {summary.contaminated} of them disturbed and repeated")
    if not dry_run:
        _merge(where, by_split, tell)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def merge(where: Where, tell: Reporter) -> None:
    _merge(where, where.problems(), tell)


def _merge(where: Where, by_split: Mapping[str, Sequence[Problem]], tell: Reporter) -> None:
    from harness.merging.stage import MergeStageSettings
    from harness.merging.stage import merge as merge_split

    for split, problems in by_split.items():
        samples, datasets = where.paths.samples(split), where.paths.datasets(split)
        annotated = _annotated_with(samples)
        settings = MergeStageSettings(method=annotated.method, decisions=annotated.decision)
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


# --- train ------------------------------------------------------------------------------------------------------


def train(
    where: Where,
    model_path: str,
    config_file: Path | None,
    overrides: Mapping[str, Any],
    tell: Reporter,
    *,
    overwrite: bool,
    dry_run: bool,
) -> Path:
    """Train one model; its folder."""
    from training.config import load_config

    train_rows, validation_rows = (where.paths.datasets(split) / "merged.jsonl" for split in ("train", "validation"))
    if not train_rows.exists():
        raise UserError("no training data", where=str(train_rows), fix="run `annotate` for the split train first")
    if config_file is None:
        config_file = recipe(model_path, str(overrides.get("optim") or "sft"))
        if config_file is not None:
            tell.say(f"settings: {config_file}")
    config = load_config(config_file, overrides)
    validation = validation_rows if validation_rows.exists() else None
    from harness.sampling.models import resolve_model
    from training.stage import plan
    from training.stage import train as fit

    out = where.paths.model(config.name)
    if dry_run:
        planned = plan(train_rows, validation, config)
        print_counts(f"train {config.name} into {out}", {k: _plain(v) for k, v in planned.items() if k != "settings"})
        print_counts("Settings", {k: _plain(v) for k, v in planned["settings"].items()})
        return out
    with ExitStack() as stack:
        if os.environ.get("RANK", "0") == "0":  # of several processes that train together, the first holds the folder
            stack.enter_context(locked(out))
        model = resolve_model(model_path, tell)
        facts = {"model_path": model_path, "data_path": where.data_path}
        summary = fit(train_rows, validation, model, out, config, reporter=tell, overwrite=overwrite, facts=facts)
    losses = {"first loss": summary.first_loss, "last loss": summary.last_loss, "validation loss": summary.eval_loss}
    print_counts(
        f"Trained {summary.name}",
        {
            "steps": f"{summary.steps} ({summary.epochs:g} epochs)",
            "problems": f"{summary.problems}, {summary.validation_problems} to validate on",
            **{name: "–" if loss is None else f"{loss:.4f}" for name, loss in losses.items()},
            "kept": f"step {summary.kept_step}",
        },
    )
    tell.say(f"model: {out}")
    return out


def recipe(model: str, optim: str) -> Path | None:
    """The settings that come with the project for a built-in model."""
    path = Path(__file__).resolve().parents[2] / "recipes" / model / f"{optim}.yaml"
    return path if "/" not in model and path.exists() else None


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items()) or "none"
    return str(value)


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
    results = write_report(problems, models, folder, annotation=annotation, request=_request(where, split))
    _show(results, folder, tell)


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
