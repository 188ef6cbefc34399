"""Which of our problems a name in somebody else's file means, and how that name is written on the way out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.exchange.rows import RejectError
from harness.records import Problem

ForeignId = int | str
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_EVALPLUS_MBPP = "Mbpp/"


class TaskNames:
    """Our problems by the names that others give them: "Mbpp/7" or 7 for "MBPP/7", and "Mbpp/7" for MBPP's bare 7.

    A short name that could mean two tasks means none.
    """

    def __init__(self, problems: Mapping[str, Problem]) -> None:
        """problems: by `task_id`."""
        self._problems = problems
        self._names: dict[str, str] = {}
        for short in (str.casefold, _last_part, _mbpp_name):
            meant: dict[str, set[str]] = {}
            for task_id in problems:
                meant.setdefault(short(task_id), set()).add(task_id)
            for name, tasks in meant.items():
                if len(tasks) == 1:
                    self._names.setdefault(name, *tasks)

    def problem(self, value: object, column: str) -> Problem:
        """The problem meant. Raises RejectError that names the column."""
        if value is None:
            raise RejectError(f"no column {column!r}")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RejectError(f"column {column!r}: neither text nor a whole number")
        name = str(value)
        problem = self._problems.get(name) or self._problems.get(self._names.get(name.casefold(), ""))
        if problem is None:
            raise RejectError(f"unknown task {name[:80]!r}")
        return problem


def _last_part(task_id: str) -> str:
    return task_id.rpartition("/")[2].casefold()


def _mbpp_name(task_id: str) -> str:
    return f"{_EVALPLUS_MBPP}{task_id}".casefold() if _NUMBER.fullmatch(task_id) else task_id.casefold()


def published_id(task_id: str) -> ForeignId:
    """As the published files have it: MBPP's bare numbers are numbers there, other names text."""
    return int(task_id) if _NUMBER.fullmatch(task_id) else task_id


def evalplus_id(task_id: str) -> str:
    """As EvalPlus has it: MBPP's tasks are "Mbpp/7"."""
    name, _, number = task_id.rpartition("/")
    return f"{_EVALPLUS_MBPP}{number}" if _NUMBER.fullmatch(number) and name.casefold() in ("", "mbpp") else task_id


def plain(text: str) -> str:
    """A prompt without what tools change on the way: line ends, and space around it."""
    return text.replace("\r\n", "\n").strip()
