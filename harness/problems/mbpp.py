"""MBPP (Austin et al., 2021): a folder in the Code-Optimise authors' form, or the Hub's original, brought to it.

The authors give the model the reference solution's `def` line and the task's text as a docstring, and turn the
task's asserts into `check(candidate)`. Of the Hub's splits, `prompt` (10 problems) is counted to `train`, which gives
the 384 train, 90 validation and 500 test problems of the paper.
"""

from __future__ import annotations

import ast
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from harness.errors import DataError, UserError
from harness.problems.checks import RawRow, parse
from harness.problems.files import saved_splits
from harness.problems.hub import hub_splits

ENVIRONMENT = "CODE_OPTIMISE_MBPP"
HUB_ID, HUB_CONFIG = "google-research-datasets/mbpp", "full"
MERGED_SPLITS = {"prompt": "train"}
LINE_END = re.compile(rb"\r\n|\r|\n")


def mbpp_splits() -> dict[str, list[RawRow]]:
    """The splits, from the folder that CODE_OPTIMISE_MBPP names if it is set, else from the Hub."""
    folder = os.environ.get(ENVIRONMENT)
    if folder:
        if not Path(folder).is_dir():
            raise UserError(f"{ENVIRONMENT} names no folder", where=folder, fix=f"correct it, or unset {ENVIRONMENT}")
        return saved_splits(Path(folder))
    try:
        return merge_splits(hub_splits(HUB_ID, HUB_CONFIG))
    except DataError:
        raise
    except UserError as error:
        raise UserError(
            error.what,
            where=error.where,
            fix=f"check the connection; where there is none, set {ENVIRONMENT} to a folder that datasets' save_to_disk "
            "wrote, with the columns task_id, prompt, test and entry_point",
        ) from error


def merge_splits(splits: Mapping[str, list[RawRow]]) -> dict[str, list[RawRow]]:
    """The Hub's rows in the authors' form and splits."""
    merged: dict[str, list[RawRow]] = {}
    for name, rows in splits.items():
        split = MERGED_SPLITS.get(name, name)
        merged.setdefault(split, []).extend(convert(row, split) for row in rows)
    return merged


def convert(row: RawRow, split: str) -> RawRow:
    """A row `task_id, text, code, test_list, test_setup_code` as `task_id, prompt, test, entry_point`.

    Raises DataError where a column is missing or no assert calls a function of the code.
    """
    text, code = _string(row, "text"), _string(row, "code")
    tests = row.values.get("test_list")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise DataError("column 'test_list': should be a list of asserts", where=row.where)
    setup = row.values.get("test_setup_code") or ""
    if not isinstance(setup, str):
        raise DataError("column 'test_setup_code': should be text", where=row.where)
    module = parse(code)
    if isinstance(module, str):
        raise DataError(f"column 'code': is not Python source: {module}", where=row.where)
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    entry_point = _called(tests, set(functions), row)
    # The set-up goes inside check: some of it makes objects of classes that only the solution defines.
    body = [line for part in (setup, *tests) for line in [rename(part, entry_point, "candidate").strip()] if line]
    values = {
        "task_id": row.values.get("task_id"),
        "prompt": signature(code, functions[entry_point]) + docstring(text) + "\n",
        "test": "\r\n".join(["def check(candidate):", *(textwrap.indent(part, "    ") for part in body)]),
        "entry_point": entry_point,
    }
    return RawRow(values, split, row.where)


def signature(code: str, function: ast.FunctionDef) -> str:
    """The function's `def` line with its line end as written; rebuilt where it is not a line of its own."""
    line = code.encode().splitlines(keepends=True)[function.lineno - 1].decode()
    if line.rstrip().endswith(":") and function.body[0].lineno > function.lineno:
        return line
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"def {function.name}({ast.unparse(function.args)}){returns}:\r\n"


def docstring(text: str) -> str:
    r"""The text as an indented docstring; quotes and backslashes are escaped where they would change it."""
    plain = f'"""{text}"""'
    module = parse(plain)
    if not isinstance(module, str) and ast.get_docstring(module, clean=False) == text.replace("\r\n", "\n"):
        return f"    {plain}"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'    """{escaped}"""'


def rename(source: str, old: str, new: str) -> str:
    """The source with every name `old` replaced, and nothing else touched (texts and attributes stay).

    Source that does not parse is given back as it is: the checks of the finished test report it.
    """
    module = parse(source)
    if isinstance(module, str):
        return source
    data = source.encode()
    starts = [0, *(match.end() for match in LINE_END.finditer(data))]
    names = [node for node in ast.walk(module) if isinstance(node, ast.Name) and node.id == old]
    # Positions are UTF-8 bytes within a line; from the back, so that earlier ones stay true.
    for node in sorted(names, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        begin = starts[node.lineno - 1] + node.col_offset
        data = data[:begin] + new.encode() + data[begin + len(old.encode()) :]
    return data.decode()


def _called(tests: list[str], defined: set[str], row: RawRow) -> str:
    for test in tests:
        module = parse(test)
        if isinstance(module, str):
            raise DataError(f"column 'test_list': is not Python source: {module}", where=row.where)
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
                return node.func.id
    raise DataError("column 'test_list': no assert calls a function that 'code' defines", where=row.where)


def _string(row: RawRow, column: str) -> str:
    value = row.values.get(column)
    if not isinstance(value, str):
        raise DataError(f"column {column!r}: should be text, is {type(value).__name__}", where=row.where)
    return value
