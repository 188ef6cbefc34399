"""The merge stage: a folder of samples, executions and measurements in; the data set that training reads out.

The output is made anew each time, from whatever is there, and depends on nothing else: same input, same bytes. Each
file is written whole or not at all, `summary.json` last. Who calls this holds the folders (harness.store.locked).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import DataError, UserError
from harness.merging.merge import DropReason, Judged, MergeSettings, judge, merge_judged, sound
from harness.merging.pairs import pairs_of
from harness.merging.tables import LABELS_SCHEMA, PAIRS_SCHEMA, label_rows, pair_row, parquet_bytes
from harness.progress import Reporter
from harness.records import (
    SCHEMA_VERSION,
    Decision,
    ExecutionRow,
    LegacyTiming,
    MeasurementBlock,
    MergedRow,
    Problem,
    ProblemLabels,
    Sample,
    TimingMethod,
)
from harness.store import read_rows, write_atomically, write_rows
from harness.timing.decisions import DecisionSettings, decide
from harness.timing.legacy import legacy_labels
from harness.timing.schedule import current_blocks


@dataclass(frozen=True, slots=True)
class MergeStageSettings:
    """What is kept, and how measurements become decisions. method: by which the solutions were timed."""

    keep: MergeSettings = field(default_factory=MergeSettings)
    method: TimingMethod = TimingMethod.BLOCKS
    decisions: DecisionSettings = field(default_factory=DecisionSettings)


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """Counts at each step, as in `summary.json`.

    samples: rows read, without a verdict, INTERNAL, left out as weak, of problems not asked for.
    solutions: distinct ones passing, failing, unstable (copies disagree), untimed (pass, no usable run time), and how
    many of the passing and failing are weak. kept: problems and answers in merged.jsonl. dropped: problems by reason.
    comparisons: pairs of passing solutions by decision (all problems); undecided_share: of them, or None without any.
    pairs: rows of pairs.parquet by kind.
    """

    problems: int
    samples: dict[str, int]
    solutions: dict[str, int]
    kept: dict[str, int]
    dropped: dict[str, int]
    comparisons: dict[str, int]
    undecided_share: float | None
    pairs: dict[str, int]
    settings: dict[str, Any]
    schema_version: int = SCHEMA_VERSION


def merge(
    problems: Sequence[Problem],
    samples_folder: Path,
    datasets_folder: Path,
    *,
    settings: MergeStageSettings | None = None,
    reporter: Reporter,
) -> MergeSummary:
    """Write merged.jsonl, labels.parquet, pairs.parquet and summary.json. Order of rows: that of `problems`.

    Raises UserError where there are no samples or no verdicts yet, DataError for rows that can't be read or samples of
    more than one model (their sample ids would mean different things).
    """
    settings = settings or MergeStageSettings()
    wanted = {problem.task_id for problem in problems}
    samples, foreign = _samples(samples_folder / "samples.jsonl", wanted)
    executions = _by_task(samples_folder / "executions.jsonl", ExecutionRow, "annotate")
    labels_of = _measured(samples_folder, settings)

    merged: list[MergedRow] = []
    dropped: Counter[str] = Counter()
    counts: Counter[str] = Counter({"other_problems": foreign})
    decisions: Counter[str] = Counter()
    label_table: list[dict[str, Any]] = []
    with reporter.task("merge", len(problems), unit="problems") as progress:
        for problem in problems:
            own = samples.get(problem.task_id, [])
            judged = judge(own, executions.get(problem.task_id, []), settings.keep)
            labels = labels_of(problem.task_id)
            outcome = merge_judged(problem, judged, labels, settings.keep) if own else DropReason.NO_SAMPLES
            row = None if isinstance(outcome, DropReason) else outcome
            if row is None:
                dropped[str(outcome)] += 1
            else:
                merged.append(row)
            label_table.extend(label_rows(judged, labels, row))
            _count(counts, judged, labels, len(own))
            decisions.update(str(comparison.decision) for comparison in (labels.comparisons if labels else ()))
            progress.advance()

    pairs = [pair for row in merged for pair in pairs_of(row)]
    summary = _summary(
        len(problems),
        merged,
        settings,
        counts=counts,
        dropped=dropped,
        decisions=decisions,
        pairs=Counter(str(pair.kind) for pair in pairs),
    )
    write_rows(datasets_folder / "merged.jsonl", merged)
    write_atomically(datasets_folder / "labels.parquet", parquet_bytes(label_table, LABELS_SCHEMA))
    write_atomically(datasets_folder / "pairs.parquet", parquet_bytes(map(pair_row, pairs), PAIRS_SCHEMA))
    write_atomically(datasets_folder / "summary.json", json.dumps(asdict(summary), indent=2, sort_keys=True) + "\n")
    return summary


def _measured(folder: Path, settings: MergeStageSettings) -> Callable[[str], ProblemLabels | None]:
    """Labels by task_id, made when they are asked for: large problems take a while."""
    if settings.method is TimingMethod.LEGACY:
        passes: dict[str, list[LegacyTiming]] = defaultdict(list)
        for row in read_rows(folder / "legacy.jsonl", LegacyTiming):
            passes[row.task_id].append(row)
        return lambda task_id: legacy_labels(passes[task_id]) if task_id in passes else None
    blocks: dict[str, list[MeasurementBlock]] = defaultdict(list)
    for block in read_rows(folder / "measurements.jsonl", MeasurementBlock):
        blocks[block.task_id].append(block)
    return lambda task_id: decide(current_blocks(blocks[task_id]), settings.decisions) if task_id in blocks else None


def _by_task(path: Path, row_type: type[ExecutionRow], stage: str) -> dict[str, list[ExecutionRow]]:
    rows: dict[str, list[ExecutionRow]] = defaultdict(list)
    for row in read_rows(path, row_type):
        rows[row.task_id].append(row)
    if not rows:
        raise UserError("there are no verdicts yet", where=str(path), fix=f"run `{stage}` first")
    return rows


def _samples(path: Path, wanted: set[str]) -> tuple[dict[str, list[Sample]], int]:
    rows: dict[str, list[Sample]] = defaultdict(list)
    models: set[str] = set()
    foreign = 0
    for row in read_rows(path, Sample):
        models.add(row.model)
        if row.task_id in wanted:
            rows[row.task_id].append(row)
        else:
            foreign += 1
    if not models:
        raise UserError("there are no samples yet", where=str(path), fix="run `sample` first")
    if len(models) > 1:
        raise DataError(
            f"samples of more than one model ({', '.join(sorted(models))})",
            where=str(path),
            fix="merge the samples of one model; each model's in a folder of its own (--save_path)",
        )
    return rows, foreign


def _count(counts: Counter[str], judged: Judged, labels: ProblemLabels | None, samples: int) -> None:
    timed = {label.solution_id for label in (labels.labels if labels else ()) if sound(label)}
    counts["samples"] += samples
    counts["unjudged"] += judged.unjudged
    counts["internal"] += judged.internal
    counts["weak_excluded"] += judged.weak_excluded
    counts["passing"] += len(judged.passing)
    counts["failing"] += len(judged.failing)
    counts["unstable"] += len(judged.unstable)
    counts["untimed"] += sum(distinct.solution_id not in timed for distinct in judged.passing)
    counts["weak"] += sum(d.execution.integrity == "weak" for d in (*judged.passing, *judged.failing))


def _summary(
    problems: int,
    merged: Sequence[MergedRow],
    settings: MergeStageSettings,
    *,
    counts: Counter[str],
    dropped: Counter[str],
    decisions: Counter[str],
    pairs: Counter[str],
) -> MergeSummary:
    compared = decisions.total()
    answers = sum(len(row.answers) for row in merged)
    passing = sum(row.passing for row in merged)
    return MergeSummary(
        problems=problems,
        samples={name: counts[name] for name in ("samples", "unjudged", "internal", "weak_excluded", "other_problems")},
        solutions={name: counts[name] for name in ("passing", "failing", "unstable", "untimed", "weak")},
        kept={"problems": len(merged), "answers": answers, "passing": passing, "failing": answers - passing},
        dropped={str(reason): dropped[str(reason)] for reason in DropReason},
        comparisons={str(d): decisions[str(d)] for d in (Decision.QUICK, Decision.SAME, Decision.UNDECIDED)},
        undecided_share=decisions[str(Decision.UNDECIDED)] / compared if compared else None,
        pairs={"qvs": pairs["qvs"], "pvf": pairs["pvf"]},
        settings=asdict(settings),
    )
