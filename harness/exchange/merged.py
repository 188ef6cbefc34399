"""The published `merged.json` (released as `*.merged.jsonl`): one problem a row, as training reads it. Pure but for
reading.

A row is `{"id", "question", "answers": [{"text", "votes"}], "time": {"count", "avg", "std", "cov"}}`, answers fastest
first and the failing ones last, `votes` in ns or null. It is taken as it is: texts, order, copies and figures. What it
does not say is not made up: no tiers, no decided pairs, integrity "none", and of a failing answer only that it FAILED.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.exchange.checks import FAILED, MAX_TIME_NS
from harness.exchange.columns import number, only_columns, text
from harness.exchange.rows import ForeignRow, RejectedRow, RejectError, foreign_rows
from harness.exchange.tasks import ForeignId, TaskNames, plain, published_id
from harness.records import Answer, MergedRow, Problem
from harness.timing.solution_id import solution_id
from sandbox import Integrity, Verdict

ROW, ANSWER, TIME = ("id", "question", "answers", "time"), ("text", "votes"), ("count", "avg", "std", "cov")
MAX_FIGURE = 1e18


class MergedImporter:
    """Reads published merged files. What it knows across rows and files: which problems were there."""

    def __init__(self, problems: Mapping[str, Problem]) -> None:
        """problems: by `task_id`."""
        self._tasks = TaskNames(problems)
        self.ids: dict[str, ForeignId] = {}  # of the problems read so far, as the files have them

    def read(self, path: Path) -> Iterator[MergedRow | RejectedRow]:
        """A file's rows in its order. Raises DataError if it can't be opened; what is wrong within is a RejectedRow."""
        for row in foreign_rows(path):
            if isinstance(row, RejectedRow):
                yield row
                continue
            try:
                yield self._merged(row)
            except RejectError as error:
                yield row.rejected(str(error))

    def _merged(self, row: ForeignRow) -> MergedRow:
        if "schema_version" in row.value:
            raise RejectError("this program's own merged.jsonl, whose evidence would be lost; use its folder as it is")
        only_columns(row.value, ROW)
        problem = self._tasks.problem(row.value["id"], "id")
        if problem.task_id in self.ids:
            raise RejectError(f"task {problem.task_id!r} was there before")
        merged = merged_row(row.value, problem)
        self.ids[problem.task_id] = row.value["id"]
        return merged


def merged_row(value: Mapping[str, Any], problem: Problem) -> MergedRow:
    """A published row as ours. Raises RejectError for what is not of the published shape."""
    question, answers, time = text(value, "question"), value["answers"], value["time"]
    if plain(question) != plain(problem.prompt):
        raise RejectError(f"column 'question' is not the prompt of task {problem.task_id!r}")
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise RejectError("column 'answers': not a list of objects")
    if not isinstance(time, dict):
        raise RejectError("column 'time': not an object")
    only_columns(time, TIME)
    ours = [_answer(answer, place, question, problem) for place, answer in enumerate(answers)]
    return MergedRow(
        id=problem.task_id,
        question=question,
        entry_point=problem.entry_point,
        answers=ours,
        time={column: number(time, column, 0, MAX_FIGURE) for column in time},
        passing=_passing(ours),
        decided=[],
    )


def _answer(answer: Mapping[str, Any], place: int, question: str, problem: Problem) -> Answer:
    try:
        only_columns(answer, ANSWER)
        completion = text(answer, "text")
        votes = None if answer["votes"] is None else number(answer, "votes", 1, MAX_TIME_NS)
    except RejectError as error:
        raise RejectError(f"answer {place + 1}: {error}") from error
    return Answer(
        text=completion,
        votes=votes,
        sample_id=place,
        solution_id=solution_id(question + completion, problem.entry_point),
        verdict=FAILED if votes is None else str(Verdict.PASSED),
        integrity=Integrity.NONE,
    )


def _passing(answers: list[Answer]) -> int:
    """How many pass. Their order is all that training has to go by, so it must be there."""
    votes = [answer.votes for answer in answers]
    passing = sum(one is not None for one in votes)
    times = [one for one in votes[:passing] if one is not None]
    if len(times) < passing:
        raise RejectError("column 'answers': one with votes comes after one without")
    if times != sorted(times):
        raise RejectError("column 'answers': not fastest first")
    return passing


def published_merged(row: MergedRow, ids: Mapping[str, ForeignId]) -> dict[str, Any]:
    """A merged row in the published shape. ids: by `task_id`, those that are not as `published_id` has them."""
    return {
        "id": ids.get(row.id, published_id(row.id)),
        "question": row.question,
        "answers": [{"text": answer.text, "votes": answer.votes} for answer in row.answers],
        "time": row.time,
    }
