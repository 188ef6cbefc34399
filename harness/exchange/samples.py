"""Samples that others wrote: three shapes of file become our `Sample` rows, and what can't is named row by row.

- `{"task_id", "completion"}` per line, as HumanEval, MBPP and EvalPlus tools write them; `sample_id` or `completion_id`
  optional. EvalPlus' `solution` (the whole program) is taken too if it begins with the problem's prompt.
- the published `merged.jsonl`: `{"id", "question", "answers": [{"text", "votes"}]}`; all answers become samples. The
  published times are not read: the solutions are judged and timed anew.
- the published `outputs.json`: one JSON list of `{"task_id", "completion"}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.exchange.rows import ForeignRow, RejectedRow, RejectError, excerpt, foreign_rows
from harness.exchange.tasks import ForeignId, TaskNames, plain
from harness.records import FinishReason, Problem, Sample


class SampleImporter:
    """Reads the files of one model's samples. What it knows across rows and files: which sample ids are taken."""

    def __init__(self, problems: Mapping[str, Problem], model: str) -> None:
        """problems: by `task_id`. model: who wrote the samples."""
        self._tasks = TaskNames(problems)
        self._model = model
        self.ids: dict[str, ForeignId] = {}  # of the tasks read so far, as the files have them
        self._taken: dict[str, set[int]] = {}
        self._following: dict[str, int] = {}

    def read(self, path: Path) -> Iterator[Sample | RejectedRow]:
        """A file's samples in its order. Sample ids are the file's, or else count from 0 within each task.

        An empty completion is a sample. Raises DataError if the file can't be opened; everything within it that is
        wrong comes as a RejectedRow.
        """
        for row in foreign_rows(path):
            if isinstance(row, RejectedRow):
                yield row
                continue
            try:
                if "answers" in row.value:
                    yield from self._merged_row(row)
                else:
                    problem = self._problem(row.value, "task_id")
                    yield self._sample(problem, _completion(row.value, problem), _sample_id(row.value))
            except RejectError as error:
                yield row.rejected(str(error))

    def _problem(self, value: Mapping[str, Any], column: str) -> Problem:
        problem = self._tasks.problem(value.get(column), column)
        self.ids.setdefault(problem.task_id, value[column])
        return problem

    def _sample(self, problem: Problem, completion: str, sample_id: int | None) -> Sample:
        taken = self._taken.setdefault(problem.task_id, set())
        if sample_id is None:
            sample_id = self._following.get(problem.task_id, 0)
            while sample_id in taken:
                sample_id += 1
            self._following[problem.task_id] = sample_id + 1
        elif sample_id in taken:
            raise RejectError(f"sample {sample_id} of task {problem.task_id!r} was there before")
        taken.add(sample_id)
        return Sample(problem.task_id, sample_id, self._model, completion, FinishReason.IMPORTED)

    def _merged_row(self, row: ForeignRow) -> Iterator[Sample | RejectedRow]:
        problem = self._problem(row.value, "id")
        question, answers = row.value.get("question"), row.value["answers"]
        if question is not None and (not isinstance(question, str) or plain(question) != plain(problem.prompt)):
            raise RejectError(f"column 'question' is not the prompt of task {problem.task_id!r}")
        if not isinstance(answers, list):
            raise RejectError("column 'answers': not a list")
        for number, answer in enumerate(answers, start=1):
            text = answer.get("text") if isinstance(answer, dict) else None
            if isinstance(text, str):
                yield self._sample(problem, text, None)
            else:
                shown = excerpt(json.dumps(answer).encode())
                yield RejectedRow(row.file, row.row, f"answer {number}: no text in column 'text'", shown)


def _completion(value: Mapping[str, Any], problem: Problem) -> str:
    """The text after the prompt. A whole program is cut at the prompt's end, line ends and trailing space not compared.

    Programs that don't begin with the prompt are refused, not appended: prompt + program would run, but as an example
    to train on it would teach to write the function twice.
    """
    completion, solution = value.get("completion"), value.get("solution")
    if completion is not None:
        if not isinstance(completion, str):
            raise RejectError("column 'completion': not text")
        return completion
    if solution is None:
        raise RejectError("no column 'completion' (nor 'solution')")
    if not isinstance(solution, str):
        raise RejectError("column 'solution': not text")
    if solution.startswith(problem.prompt):
        return solution[len(problem.prompt) :]
    program, prompt = solution.replace("\r\n", "\n"), problem.prompt.replace("\r\n", "\n")
    if program.startswith(prompt):
        return program[len(prompt) :]
    body = program.removeprefix(prompt.rstrip())
    if body == program or not body.startswith((" ", "\t", "\n")):
        raise RejectError("column 'solution' does not begin with the problem's prompt; give 'completion' instead")
    return body if body.startswith("\n") else "\n" + body


def _sample_id(value: Mapping[str, Any]) -> int | None:
    for column in ("sample_id", "completion_id"):
        given = value.get(column)
        if given is not None:
            if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < 2**63:
                raise RejectError(f"column {column!r}: not a whole number from 0")
            return given
    return None
