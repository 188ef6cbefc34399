"""MBPP+ and HumanEval+ (EvalPlus, Liu et al. 2023, arXiv 2305.01210): the tasks with many more inputs, held out.

The test is the task's own asserts, as in the original sets; the inputs that EvalPlus added make the held-out test
(`plus_tests`). The prompts are EvalPlus': of MBPP+ the text with one assert, after which the model writes all of the
function.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError, UserError
from harness.problems.checks import RawRow, parse
from harness.problems.files import jsonl_rows
from harness.problems.human_eval import human_eval_rows
from harness.problems.plus_inputs import affordable, argument_forms, read_inputs
from harness.problems.plus_tests import PLAIN, held_out_test, own_test, view_of

ALL = "all"
# MBPP's own splits (Austin et al. 2021) by task number. MBPP+ holds tasks of all of them: who trains on MBPP must not
# be judged on the whole of it.
MBPP_TEST, MBPP_VALIDATION = range(11, 511), range(511, 601)


@dataclass(frozen=True, slots=True)
class PlusSet:
    """Where a set's file is looked for."""

    name: str  # of the file, without version and suffix
    environment: str
    getter: str  # of evalplus.data; leaves the file in its cache


MBPP_PLUS = PlusSet("MbppPlus", "CODE_OPTIMISE_MBPP_PLUS", "get_mbpp_plus")
HUMAN_EVAL_PLUS = PlusSet("HumanEvalPlus", "CODE_OPTIMISE_HUMAN_EVAL_PLUS", "get_human_eval_plus")


def mbpp_plus_splits() -> dict[str, list[RawRow]]:
    """`all` tasks, and each task once more in the split of MBPP that it comes from: train, validation or test."""
    rows = [mbpp_plus_row(row) for row in jsonl_rows(find_file(MBPP_PLUS))]
    splits: dict[str, list[RawRow]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        split = mbpp_split(str(row.values["task_id"]))
        splits[split].append(replace(row, split=split))
    return {**splits, ALL: rows}


def mbpp_split(task_id: str) -> str:
    number = int(task_id.rpartition("/")[2])
    return "test" if number in MBPP_TEST else "validation" if number in MBPP_VALIDATION else "train"


def human_eval_plus_splits() -> dict[str, list[RawRow]]:
    """All tasks as split `test`. Rows without a `test` get HumanEval's own."""
    originals = {str(row.values["task_id"]): row.values["test"] for row in human_eval_rows()}
    rows = jsonl_rows(find_file(HUMAN_EVAL_PLUS))
    return {"test": [human_eval_plus_row(row, originals) for row in rows]}


def mbpp_plus_row(row: RawRow) -> RawRow:
    """A row `task_id, prompt, entry_point, canonical_solution, assertion, plus_input, atol` in the common columns.

    Raises DataError where a column is missing or not what it should be.
    """
    task_id, prompt, function, canonical, asserts = (
        _text(row, column) for column in ("task_id", "prompt", "entry_point", "canonical_solution", "assertion")
    )
    if not re.fullmatch(r"Mbpp/\d+", task_id):
        raise DataError(f"column 'task_id': {task_id!r} is not like Mbpp/2", where=row.where)
    _source(row, "assertion", asserts)
    shown = prompt[prompt.find("assert ") :].replace('"""', "").strip() if "assert " in prompt else asserts
    shown = asserts if isinstance(parse(shown), str) else shown
    inputs = _inputs(row)
    try:
        held_out = held_out_test(
            task_id,
            function,
            _source(row, "canonical_solution", canonical),
            affordable(task_id, read_inputs(inputs, argument_forms(asserts, function, inputs))),
            view=_wider(view_of(task_id, shown, function), view_of(task_id, asserts, function)),
            atol=_tolerance(row),
        )
        test = own_test(asserts, shown, function)
    except (ValueError, TypeError) as error:
        raise DataError(f"columns 'assertion' and 'plus_input': {error}", where=row.where) from error
    return _row(row, ALL, task_id, prompt, test, function, held_out)


def human_eval_plus_row(row: RawRow, originals: Mapping[str, object]) -> RawRow:
    """As `mbpp_plus_row`; the canonical solution continues the prompt, and the inputs are what JSON says."""
    task_id, prompt, function, canonical = (
        _text(row, column) for column in ("task_id", "prompt", "entry_point", "canonical_solution")
    )
    test = row.values.get("test") or originals.get(task_id)
    if not isinstance(test, str):
        raise DataError("column 'test': missing, and HumanEval has no task of this id", where=row.where)
    held_out = held_out_test(
        task_id,
        function,
        _source(row, "canonical_solution", prompt + canonical),
        read_inputs(_inputs(row), ()),
        view=PLAIN,
        atol=_tolerance(row),
    )
    return _row(row, "test", task_id, prompt, test, function, held_out)


def find_file(plus: PlusSet, environment: Mapping[str, str] = os.environ) -> Path:
    """The set's file: what the environment variable names (a file, or a folder that holds it), else the newest version
    in the `evalplus` package's cache. Raises UserError where there is none."""
    named = environment.get(plus.environment)
    if named:
        path = Path(named).expanduser()
        found = [path] if path.is_file() else _versions(path, plus.name)
        if not found:
            raise UserError(
                f"{plus.environment} names neither a file nor a folder with {plus.name}.jsonl", where=named,
                fix=f"correct it, or unset {plus.environment}",
            )  # fmt: skip
        return found[-1]
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evalplus"
    found = _versions(cache, plus.name)
    if not found:
        raise UserError(
            f"{plus.name}.jsonl is not on this machine", where=str(cache),
            fix=f"set {plus.environment} to the file, or where there is a connection: pip install evalplus==0.3.1 in a "
            f"virtual environment of its own, and there: python -c 'import evalplus.data as d; d.{plus.getter}()'",
        )  # fmt: skip
    return found[-1]


def _versions(folder: Path, name: str) -> list[Path]:
    """The set's files in a folder, by version, the newest last; not its cut-down variants (Mini, NoExtreme)."""
    pattern = re.compile(rf"{name}(?:-v(?P<version>\d+(?:\.\d+)*))?\.jsonl(?:\.gz)?")
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = pattern.fullmatch(path.name)
        if match and path.is_file():
            version = tuple(int(part) for part in (match["version"] or "0").split("."))
            found.append((version, path.name, path))
    return [path for _, _, path in sorted(found)]


def _wider(shown: str, asserted: str) -> str:
    """The view that is not PLAIN, if one is."""
    return asserted if shown == PLAIN else shown


def _row(row: RawRow, split: str, task_id: str, prompt: str, test: str, function: str, held_out: str | None) -> RawRow:
    values = {"task_id": task_id, "prompt": prompt, "test": test, "entry_point": function, "held_out": held_out}
    return RawRow(values, split, row.where)


def _text(row: RawRow, column: str) -> str:
    value = row.values.get(column)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"column {column!r}: should be text, is {type(value).__name__}", where=row.where, fix=_FIX)
    return value


def _source(row: RawRow, column: str, text: str) -> str:
    fault = parse(text)
    if isinstance(fault, str):
        raise DataError(f"column {column!r}: is not Python source: {fault}", where=row.where, fix=_FIX)
    return text


def _inputs(row: RawRow) -> Sequence[Sequence[Any]]:
    inputs = row.values.get("plus_input")
    if inputs == {}:  # how EvalPlus writes "none"
        return []
    if not isinstance(inputs, list) or not all(isinstance(arguments, list) for arguments in inputs):
        raise DataError("column 'plus_input': should be a list of lists of arguments", where=row.where, fix=_FIX)
    return inputs


def _tolerance(row: RawRow) -> float:
    atol = row.values.get("atol", 0)
    if isinstance(atol, bool) or not isinstance(atol, (int, float)) or atol < 0:
        raise DataError("column 'atol': should be a number that is not negative", where=row.where, fix=_FIX)
    return float(atol)


_FIX = "give EvalPlus' own file, as its release has it"
