"""`compare`: models of several evaluations side by side, from what was measured, or measured together anew."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from harness.cli.asked import Cores, Timed
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import Problem, Sample
from harness.store import Manifest, locked, row_line, write_rows

if TYPE_CHECKING:
    from harness.evaluation.compare import Chosen, Comparison, Source
    from harness.evaluation.results import Results

SAMPLES = "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to compare (FOLDER, or FOLDER:MODEL,MODEL; the first is the base) and where to write what comes of it.

    data_path, split: None: as the folders say. out: None: a folder under root.
    """

    folders: Sequence[str]
    root: Path
    out: Path | None = None
    data_path: str | None = None
    split: str | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Side:
    """The models of the sources, the problems that all were sampled on, and the folder for the outcome."""

    sources: list[Source]
    chosen: list[Chosen]
    problems: list[Problem]
    data_path: str
    split: str
    out: Path

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.chosen]


def compare(wanted: Wanted, tell: Reporter, *, dry_run: bool = False) -> None:
    """From the measurements that are there."""
    from harness.evaluation.compare import compare as side_by_side
    from harness.report.render import render

    side = _gather(wanted)
    if (side.out / SAMPLES).exists():
        fix = "give another --out; `code-optimise compare` on the folder itself compares its models"
        raise UserError("this folder holds an evaluation, whose results would be lost", where=str(side.out), fix=fix)
    if dry_run:
        tell.say(_plan("compare", side))
        return
    comparison = side_by_side(side.sources, side.chosen, side.problems, seed=wanted.seed)
    for warning in comparison.warnings:
        tell.warn(warning)
    facts = _facts(side, comparison)
    with locked(side.out):
        Manifest(side.out).note("compare", **facts, warnings=comparison.warnings)
        render(comparison.results, _context(side, comparison, facts), side.out)
    _show(comparison.results, side.out, tell)


def measure(
    wanted: Wanted, cores: Cores, timed: Timed, tell: Reporter, *, overwrite: bool = False, dry_run: bool = False
) -> None:
    """All chosen models' samples into one evaluation folder, judged and timed together there. Resumes."""
    from harness.annotation.stage import annotate
    from harness.cli.stages import host_facts
    from harness.evaluation.folders import record_problems
    from harness.evaluation.held_out import judge_held_out
    from harness.evaluation.stage import EvaluationRequest, evaluation_settings, report

    side = _gather(wanted, suffix="_together")
    if dry_run:
        tell.say(_plan("judge and time together", side))
        return
    samples = _renamed(side)
    digests = {name: _digest(row for row in samples if row.model == name) for name in side.names}
    with locked(side.out):
        Manifest(side.out).begin("compare", {"samples": digests}, overwrite=overwrite)
        record_problems(side.out, side.problems, side.data_path, side.split, overwrite=overwrite)
        write_rows(side.out / SAMPLES, samples)
        settings = timed.settings(wanted.seed, cores)
        annotate(
            side.problems,
            side.out,
            settings=evaluation_settings(settings),
            reporter=tell,
            cores=cores.all,
            overwrite=overwrite,
        )
        judge_held_out(side.problems, side.out, settings=settings, reporter=tell, cores=cores.all, overwrite=overwrite)
        request = EvaluationRequest(_title(side), side.data_path, side.split, _command(), host_facts(wanted.root))
        results = report(side.problems, side.names, side.out, annotation=settings, request=request)
    _show(results, side.out, tell)


def _gather(wanted: Wanted, suffix: str = "") -> Side:
    """`suffix`: of the folder under root that is written to where no other is wanted."""
    from harness.evaluation.compare import choose, matched_problems
    from harness.evaluation.folders import read_source, short_labels
    from harness.problems import load_problems

    named = [folder_and_models(text) for text in wanted.folders]
    folders = [folder for folder, _ in named]
    labels = short_labels(folders)
    sources = [read_source(folder, label) for folder, label in zip(folders, labels, strict=True)]
    chosen = choose(sources, [models for _, models in named])
    data_path, split = wanted.data_path or sources[0].data_path, wanted.split or sources[0].split
    problems = matched_problems(sources, chosen, load_problems(data_path, (split,)))
    name = "_".join(label.replace("/", "-") for label in labels) + suffix
    out = wanted.out or wanted.root / "compare" / name
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise UserError("that is one of the folders to compare", where=str(out), fix="give another --out")
    return Side(sources, chosen, problems, data_path, split, out)


def folder_and_models(text: str) -> tuple[Path, list[str] | None]:
    """ "runs/x:a,b" → (runs/x, [a, b]); a results.json stands for its folder. None: all models."""
    path, models = Path(text), None
    if not path.exists() and ":" in text:
        place, _, names = text.rpartition(":")
        path, models = Path(place), [name for name in names.split(",") if name]
    if path.name == "results.json":
        path = path.parent
    if not path.is_dir():
        fix = "name a folder of `eval` (<root>/evals/<save_path>/<data>/<split>), and :MODEL for one of its models"
        raise UserError("no such folder", where=text, fix=fix)
    return path, models


def _renamed(side: Side) -> list[Sample]:
    """The chosen models' samples on the matched problems, under their names in the comparison."""
    task_ids = {problem.task_id for problem in side.problems}
    return [
        replace(row, model=one.name)
        for one in side.chosen
        for row in side.sources[one.source].samples
        if row.model == one.model and row.task_id in task_ids
    ]


def _digest(rows: Any) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row_line(row))
    return digest.hexdigest()[:16]


def _plan(what: str, side: Side) -> str:
    count = len(_renamed(side))
    models = ", ".join(side.names)
    return f"{what}: {count} samples of {models} on {len(side.problems)} problems into {side.out}"


def _facts(side: Side, comparison: Comparison) -> dict[str, Any]:
    sources = {}
    for source in side.sources:
        link = comparison.exchanges.get(source.label)
        facts = {"where": source.where, "timing": str(source.method), "base image": source.base_image or None}
        told = {key: value for key, value in asdict(link).items() if key != "rates"} if link else {}
        sources[source.label] = facts | told | ({"linked problems": len(link.rates)} if link else {})
    return {"models": side.names, "problems": len(side.problems), "sources": sources}


def _context(side: Side, comparison: Comparison, facts: dict[str, Any]) -> Any:
    from harness.report.context import ReportContext, pick_examples

    examples = pick_examples(side.problems, comparison.samples, comparison.executions, comparison.labels, side.names)
    return ReportContext(
        title=_title(side),
        data=side.data_path,
        split=side.split,
        facts=facts,
        examples=examples,
        stress=comparison.stress,
        warnings=comparison.warnings,
        command=_command(),
    )


def _title(side: Side) -> str:
    return f"Compared with {side.names[0]}"


def _command() -> str:
    return shlex.join(["code-optimise", *sys.argv[1:]])


def _show(results: Results, out: Path, tell: Reporter) -> None:
    """What got worse first, then the figures."""
    from harness.report.console import console_regressions, console_table

    console = Console()
    if (worse := console_regressions(results)) is not None:
        console.print(worse)
    console.print(console_table(results))
    tell.say(f"report: {out / 'report.html'}, also report.md, report.tex and results.json")
