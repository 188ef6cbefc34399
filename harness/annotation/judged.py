"""A folder's samples and what came of them, one problem in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.annotation.measuring import ProblemState, passing_of
from harness.annotation.settings import AnnotationSettings
from harness.records import ExecutionRow, Problem, Sample
from harness.row_index import TaskIndex
from harness.store import read_rows


@dataclass(frozen=True, slots=True)
class SampleFile:
    """The samples of a file, all of them or those of some problems.

    wanted: whether a problem (task_id) is among those; None: all are.
    """

    path: Path
    wanted: Callable[[str], bool] | None = None

    def __iter__(self) -> Iterator[Sample]:
        """In file order, read as they are asked for."""
        rows = read_rows(self.path, Sample)
        return rows if self.wanted is None else (row for row in rows if self.wanted(row.task_id))

    def index(self) -> TaskIndex[Sample]:
        return TaskIndex(self.path, Sample)

    def count(self) -> int:
        index = self.index()
        return sum(index.count(task_id) for task_id in index.task_ids if self.has(task_id))

    def has(self, task_id: str) -> bool:
        return self.wanted is None or self.wanted(task_id)


class JudgedProblems:
    """The problems worth timing, in the order of their first samples. Each is made anew whenever it is asked for.

    `solutions`: their distinct passing solutions.
    """

    def __init__(
        self, problems: Mapping[str, Problem], samples: SampleFile, executions: Path, settings: AnnotationSettings
    ) -> None:
        self._problems, self._settings = problems, settings
        self._samples = samples.index()
        self._executions = TaskIndex(executions, ExecutionRow)
        self.task_ids: list[str] = []
        self.solutions = 0
        for task_id in self._samples.task_ids:
            if task_id in problems and samples.has(task_id) and (state := self.state(task_id)):
                self.task_ids.append(task_id)
                self.solutions += len(state.completions)

    def __iter__(self) -> Iterator[ProblemState]:
        return (state for task_id in self.task_ids if (state := self.state(task_id)))

    def state(self, task_id: str) -> ProblemState | None:
        """The problem with its passing solutions; None where it is not worth timing."""
        latest = {row.key: row for row in self._executions.rows(task_id)}
        return passing_of(self._problems[task_id], self._samples.rows(task_id), latest, self._settings)
