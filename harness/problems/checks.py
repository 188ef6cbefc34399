"""From a row of any source to a Problem, or a DataError that names the file, the row and the column. Pure."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import DataError
from harness.records import Problem

COLUMNS = ("task_id", "prompt", "test", "entry_point")
HELD_OUT = "held_out"  # may be missing or null
DEFAULT_SPLIT = "test"  # of rows that name none: data of one split is mostly there to be evaluated on
FIX = "each row needs the columns task_id, prompt, test (defines check(candidate)) and entry_point"


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it was found. `where` names the file and the row for a person."""

    values: Mapping[str, object]
    split: str
    where: str


def to_problem(row: RawRow, source: str) -> Problem:
    """The row as a Problem, its prompt and tests unchanged (line ends included). `held_out` is a column that may be
    missing; others are ignored.

    Raises DataError for a missing column, a wrong type, empty or unencodable text, an `entry_point` that is not an
    identifier, and a `test` or `held_out` that does not define `check` taking one argument.
    """
    missing = [column for column in COLUMNS if column not in row.values]
    if missing:
        there = ", ".join(map(str, row.values)) or "none"
        raise DataError(f"column {missing[0]!r}: missing (there are: {there})", where=row.where, fix=FIX)
    task_id, prompt, test, written = (_text(row, column) for column in COLUMNS)
    entry_point = function_name(written, prompt)
    if not entry_point.isidentifier() or keyword.iskeyword(entry_point):
        raise _bad(row, "entry_point", f"{entry_point!r} is not the name of a function")
    held_out = _text(row, HELD_OUT) if row.values.get(HELD_OUT) is not None else None
    for column, source_text in (("test", test), (HELD_OUT, held_out)):
        fault = check_fault(source_text) if source_text is not None else ""
        if fault:
            raise _bad(row, column, fault)
    return Problem(task_id, prompt, test, entry_point, row.split, source, held_out)


def function_name(written: str, prompt: str) -> str:
    """`entry_point` as it is meant: without spaces around it, or the name before a "(" if the prompt defines it.

    The Code-Optimise authors' MBPP has both: `"count_no "`, and once the rest of the `def` line and a comment.
    """
    name = written.partition("(")[0].strip()
    defined = re.search(rf"^\s*def\s+{re.escape(name)}\s*\(", prompt, re.MULTILINE)
    return name if defined else written.strip()


def split_of(values: Mapping[str, object], where: str) -> str:
    """The split a row names, or DEFAULT_SPLIT where it names none."""
    split = values.get("split")
    if split is None:
        return DEFAULT_SPLIT
    if not isinstance(split, str) or not split.strip() or "/" in split:
        raise DataError(f"column 'split': {split!r} is not the name of a split", where=where, fix="e.g. train or test")
    return split


def check_fault(test: str) -> str:
    """Why `test` does not define a usable `check` at its top level; "" if it does. Nothing is run."""
    tree = parse(test)
    if isinstance(tree, str):
        return f"is not Python source: {tree}"
    checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if not checks:
        return "does not define check(candidate)"
    arguments = checks[-1].args  # the last definition is the one that counts
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needed = positional - len(arguments.defaults)
    keyword_only = any(default is None for default in arguments.kw_defaults)
    if needed > 1 or keyword_only or (positional == 0 and arguments.vararg is None):
        return "defines check, but not so that it can be called with one argument, the candidate"
    return ""


def parse(source: str) -> ast.Module | str:
    """The source's AST, or in words why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. invalid escapes in somebody else's data
            return ast.parse(source)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__


def refuse_duplicates(problems: Iterable[tuple[Problem, str]]) -> list[Problem]:
    """The problems of (problem, where) pairs. Every later stage knows a problem by its id alone, so ids are unique."""
    places: dict[str, str] = {}
    kept = []
    for problem, where in problems:
        if problem.task_id in places:
            first = places[problem.task_id]
            raise DataError(
                f"column 'task_id': {problem.task_id!r} is there already ({first})", where=where, fix="make ids unique"
            )
        places[problem.task_id] = where
        kept.append(problem)
    return kept


def _text(row: RawRow, column: str) -> str:
    value = row.values[column]
    if column == "task_id" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        wanted = "text or an integer" if column == "task_id" else "text"
        raise _bad(row, column, f"should be {wanted}, is {type(value).__name__}")
    if not value.strip():
        raise _bad(row, column, "is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _bad(row, column, f"has half of a surrogate pair at character {error.start}") from error
    return value


def _bad(row: RawRow, column: str, what: str) -> DataError:
    return DataError(f"column {column!r}: {what}", where=row.where, fix=FIX)
