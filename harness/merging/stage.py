"""The merge stage: a folder of samples, executions and measurements in; the data set that training reads out.

The output is made anew each time, from whatever is there, and depends on nothing else: same input, same bytes. Each
file is written whole or not at all, `summary.json` last. One problem is in memory at a time, whatever the files' size.
Who calls this holds the folders (harness.store.locked).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import DataError, UserError
from harness.merging.merge import DropReason, Judged, MergeSettings, judge, merge_judged, sound
from harness.merging.tables import LABELS_SCHEMA, PAIRS_SCHEMA, label_rows, pair_tables, parquet_file
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
from harness.row_index import TaskIndex
from harness.store import atomic_file, row_line, write_atomically
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
    many of the passing and failing are weak. kept: problems and answers in merged.jsonl. dropped: problems by reason
    (`dropped.jsonl` names them).
    comparisons: pairs of passing solutions by decision (all problems); undecided_share: of them, or None without any.
    pairs: rows of pairs.parquet by kind, and how many of the quick-versus-slow ones were seen again.
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
    """Write merged.jsonl, dropped.jsonl, labels.parquet, pairs.parquet and summary.json, in the order of `problems`.

    Raises UserError where there are no samples or no verdicts yet, DataError for rows that can't be read or samples of
    more than one model (their sample ids would mean different things).
    """
    settings = settings or MergeStageSettings()
    inputs = _Inputs(samples_folder, settings)
    tally = _Tally(other_problems=inputs.rows_of_others({problem.task_id for problem in problems}))
    with ExitStack() as stack:
        merged = stack.enter_context(atomic_file(datasets_folder / "merged.jsonl"))
        dropped = stack.enter_context(atomic_file(datasets_folder / "dropped.jsonl"))
        labelled = stack.enter_context(parquet_file(datasets_folder / "labels.parquet", LABELS_SCHEMA))
        paired = stack.enter_context(parquet_file(datasets_folder / "pairs.parquet", PAIRS_SCHEMA))
        progress = stack.enter_context(reporter.task("merge", len(problems), unit="problems"))
        for problem in problems:
            samples = inputs.samples_of(problem.task_id)
            judged = judge(samples, inputs.executions.rows(problem.task_id), settings.keep)
            labels = inputs.labels_of(problem.task_id)
            outcome = merge_judged(problem, judged, labels, settings.keep) if samples else DropReason.NO_SAMPLES
            row = None if isinstance(outcome, DropReason) else outcome
            if row is None:
                dropped.write(row_line(_why_dropped(problem.task_id, str(outcome), samples, judged)))
            else:
                merged.write(row_line(row))
                for table in pair_tables(row):
                    paired.add(table)
            labelled.add_rows(label_rows(judged, labels, row))
            tally.add(judged, labels, outcome, len(samples))
            progress.advance()
    summary = tally.summary(len(problems), settings)
    write_atomically(datasets_folder / "summary.json", json.dumps(asdict(summary), indent=2, sort_keys=True) + "\n")
    return summary


class _Inputs:
    """A samples folder, read problem by problem."""

    def __init__(self, folder: Path, settings: MergeStageSettings) -> None:
        self.executions = TaskIndex(folder / "executions.jsonl", ExecutionRow)
        self.labels_of: Callable[[str], ProblemLabels | None] = _measured(folder, settings)
        self._samples = TaskIndex(folder / "samples.jsonl", Sample)
        self._models: set[str] = set()
        for index, what, stage in ((self._samples, "samples", "sample"), (self.executions, "verdicts", "annotate")):
            if not index.task_ids:
                raise UserError(f"there are no {what} yet", where=str(index.path), fix=f"run `{stage}` first")

    def samples_of(self, task_id: str) -> list[Sample]:
        """The problem's samples; DataError once they are of more than one model."""
        samples = list(self._samples.rows(task_id))
        self._models.update(sample.model for sample in samples)
        if len(self._models) > 1:
            raise DataError(
                f"samples of more than one model ({', '.join(sorted(self._models))})",
                where=str(self._samples.path),
                fix="merge the samples of one model; each model's in a folder of its own (--save_path)",
            )
        return samples

    def rows_of_others(self, wanted: set[str]) -> int:
        """Samples of problems that were not asked for."""
        return sum(self._samples.count(task_id) for task_id in self._samples.task_ids - wanted)


def _measured(folder: Path, settings: MergeStageSettings) -> Callable[[str], ProblemLabels | None]:
    """Labels by task_id, made when they are asked for: large problems take a while."""
    if settings.method is TimingMethod.LEGACY:
        passes = TaskIndex(folder / "legacy.jsonl", LegacyTiming)
        return lambda task_id: legacy_labels(list(passes.rows(task_id))) if passes.count(task_id) else None
    measured = TaskIndex(folder / "measurements.jsonl", MeasurementBlock)

    def labels_of(task_id: str) -> ProblemLabels | None:
        blocks = list(measured.rows(task_id))
        return decide(current_blocks(blocks), settings.decisions) if blocks else None

    return labels_of


def _why_dropped(task_id: str, reason: str, samples: Sequence[Sample], judged: Judged) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "reason": reason,
        "samples": len(samples),
        "passing": len(judged.passing),
        "failing": len(judged.failing),
    }


class _Tally:
    """The counts of the summary, problem by problem."""

    def __init__(self, other_problems: int) -> None:
        self._counts: Counter[str] = Counter({"other_problems": other_problems})
        self._kept: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._decisions: Counter[str] = Counter()
        self._pairs: Counter[str] = Counter()

    def add(
        self, judged: Judged, labels: ProblemLabels | None, outcome: MergedRow | DropReason, samples: int
    ) -> None:
        _count(self._counts, judged, labels, samples)
        self._decisions.update(str(comparison.decision) for comparison in (labels.comparisons if labels else ()))
        if isinstance(outcome, DropReason):
            self._dropped[str(outcome)] += 1
            return
        failing = len(outcome.answers) - outcome.passing
        self._kept.update(problems=1, answers=len(outcome.answers), passing=outcome.passing, failing=failing)
        self._pairs.update(
            qvs=len(outcome.decided),
            qvs_confirmed=sum(pair.confirmed for pair in outcome.decided),
            pvf=outcome.passing * failing,
        )

    def summary(self, problems: int, settings: MergeStageSettings) -> MergeSummary:
        compared, undecided = self._decisions.total(), self._decisions[str(Decision.UNDECIDED)]
        samples = ("samples", "unjudged", "internal", "weak_excluded", "other_problems")
        solutions = ("passing", "failing", "unstable", "untimed", "weak")
        return MergeSummary(
            problems=problems,
            samples={name: self._counts[name] for name in samples},
            solutions={name: self._counts[name] for name in solutions},
            kept={name: self._kept[name] for name in ("problems", "answers", "passing", "failing")},
            dropped={str(reason): self._dropped[str(reason)] for reason in DropReason},
            comparisons={str(d): self._decisions[str(d)] for d in (Decision.QUICK, Decision.SAME, Decision.UNDECIDED)},
            undecided_share=undecided / compared if compared else None,
            pairs={name: self._pairs[name] for name in ("qvs", "qvs_confirmed", "pvf")},
            settings=asdict(settings),
        )


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
