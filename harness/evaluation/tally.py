"""What was seen of each model on each problem: the counts and run times that every figure is made from. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import median

from harness.errors import DataError
from harness.metrics.length import CodeLength, code_length
from harness.metrics.reference import Reference, reference_of
from harness.records import ExecutionRow, FinishReason, Problem, ProblemLabels, RuntimeLabel, Sample
from harness.timing.decisions import spoilt

PASSED, INTERNAL = "PASSED", "INTERNAL"

Key = tuple[str, str, int]  # of a sample


@dataclass(slots=True)
class Tally:
    """What was seen of one model on one problem.

    times: run time in ns of the passing samples whose label may be compared with others, by sample_id: no other run
    time enters any figure. spoilt: passing samples whose solution was timed, but under a flag that says that the time
    is not true (`harness.timing.decisions.spoilt`). has_held_out: the problem has a held-out test, and held-out tests
    were run. held_out: samples that pass the own test, by whether they pass the held-out one too; those that it said
    nothing of are in neither.
    """

    has_held_out: bool = False
    samples: int = 0
    internal: int = 0
    unjudged: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    weak: int = 0
    truncated: int = 0
    times: dict[int, float] = field(default_factory=dict)
    spoilt: int = 0
    memory: list[int] = field(default_factory=list)  # peak of each passing sample, bytes
    held_out: Counter[bool] = field(default_factory=Counter)
    lengths: list[CodeLength] = field(default_factory=list)
    model_tokens: list[int] = field(default_factory=list)

    @property
    def judged(self) -> int:
        return self.verdicts.total()

    @property
    def passed(self) -> int:
        return self.verdicts[PASSED]

    @property
    def failed(self) -> int:
        return self.judged - self.passed

    @property
    def runtime_ns(self) -> float | None:
        return median(self.times.values()) if self.times else None

    def add(
        self, sample: Sample, row: ExecutionRow | None, held_out: ExecutionRow | None, label: RuntimeLabel | None
    ) -> None:
        """Count one sample. label: its solution's, if it has one."""
        self.samples += 1
        if sample.finish_reason is FinishReason.LENGTH:
            self.truncated += 1
        elif sample.completion_tokens is not None:
            self.model_tokens.append(sample.completion_tokens)
        if row is None:
            self.unjudged += 1
        elif row.verdict == INTERNAL:
            self.internal += 1
        else:
            self.verdicts[row.verdict] += 1
            self.weak += row.integrity == "weak"
            if row.verdict == PASSED:
                self._add_passing(sample, row, held_out, label)

    def _add_passing(
        self, sample: Sample, row: ExecutionRow, held_out: ExecutionRow | None, label: RuntimeLabel | None
    ) -> None:
        self.memory.append(row.max_rss_bytes)
        if held_out is not None and held_out.verdict != INTERNAL:
            self.held_out[held_out.verdict == PASSED] += 1
        if label is None:
            return
        if spoilt(label.flags):
            self.spoilt += 1
        else:
            self.times[sample.sample_id] = label.runtime_ns


@dataclass(frozen=True, slots=True)
class Board:
    """Tallies by model, then by task_id, and the reference run times by task_id: those of the pool of all models."""

    models: dict[str, dict[str, Tally]]
    references: dict[str, Reference]


def tally_samples(
    problems: Sequence[Problem],
    samples: Iterable[Sample],
    executions: Iterable[ExecutionRow],
    labels: Mapping[str, ProblemLabels],
    models: Sequence[str],
    held_out: Iterable[ExecutionRow] | None = None,
) -> Board:
    """Count the samples of these models on these problems; others are left out. held_out: None where it was not run.

    Raises DataError for a sample that is there twice and for a model without samples.
    """
    by_id = {problem.task_id: problem for problem in problems}
    board: dict[str, dict[str, Tally]] = {model: {} for model in models}
    ran, ran_held_out = {row.key: row for row in executions}, {row.key: row for row in held_out or ()}
    known = {(task_id, label.solution_id): label for task_id, own in labels.items() for label in own.labels}
    pool: dict[str, dict[str, RuntimeLabel]] = {}
    length = cache(code_length)  # copies of a completion are common, and parsing is the slow part
    seen: set[Key] = set()
    for sample in samples:
        problem = by_id.get(sample.task_id)
        if sample.model not in board or problem is None:
            continue
        if sample.key in seen:
            raise DataError(f"sample {sample.key} is there twice", where="samples.jsonl")
        seen.add(sample.key)
        tally = board[sample.model].setdefault(
            sample.task_id, Tally(has_held_out=held_out is not None and problem.held_out is not None)
        )
        row = ran.get(sample.key)
        label = known.get((sample.task_id, row.solution_id)) if row is not None else None
        tally.add(sample, row, ran_held_out.get(sample.key), label)
        if sample.sample_id in tally.times and label is not None:
            pool.setdefault(sample.task_id, {})[label.solution_id] = label
        if sample.finish_reason is not FinishReason.LENGTH:
            measured = length(problem.prompt, sample.completion)
            if measured is not None:
                tally.lengths.append(measured)
    for model, tallies in board.items():
        if not tallies:
            raise DataError(f"model {model!r} has no samples on these problems", where="samples.jsonl")
    references = {
        task_id: reference_of((label.runtime_ns, label.tier) for label in own.values()) for task_id, own in pool.items()
    }
    return Board(board, references)
