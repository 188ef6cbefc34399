"""`load_problems`: what a --data_path means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.errors import DataError, UserError
from harness.problems import human_eval, starter_set
from harness.problems.checks import RawRow, refuse_duplicates, to_problem
from harness.problems.files import jsonl_rows, saved_splits
from harness.problems.hub import hub_splits
from harness.problems.mbpp import mbpp_splits
from harness.problems.plus import human_eval_plus_splits, mbpp_plus_splits
from harness.records import Problem

BUILTIN: Mapping[str, Callable[[], Mapping[str, Sequence[RawRow]]]] = {
    "starter": lambda: {split: starter_set.starter_rows(split) for split in starter_set.SPLITS},
    "human_eval": lambda: {split: human_eval.human_eval_rows() for split in human_eval.SPLITS},
    "mbpp": mbpp_splits,
    "human_eval_plus": human_eval_plus_splits,
    "mbpp_plus": mbpp_plus_splits,
}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
DATA_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".ndjson.gz")


def load_problems(data_path: str, splits: Sequence[str]) -> list[Problem]:
    """The problems of the given splits, in the order of `splits`, then of the data.

    data_path: a name of BUILTIN (which wins over a folder of that name: write `./starter` for the folder), a folder
    saved by `datasets`, a JSONL file (gzipped or not), or a Hub id. JSONL rows and single saved data sets may have a
    `split` column; rows without one belong to `test`. Text is kept as it is, line ends included.

    Raises DataError naming file, row and column for rows that are not problems; UserError for an unknown name, an
    unreachable Hub or a split that is not there.
    """
    found = _splits(data_path)
    pairs: list[tuple[Problem, str]] = []
    for split in dict.fromkeys(splits):
        rows = found.get(split)
        if not rows:
            raise _no_split(data_path, split, found)
        pairs.extend((to_problem(row, data_path), row.where) for row in rows)
    return refuse_duplicates(pairs)


def _splits(data_path: str) -> Mapping[str, Sequence[RawRow]]:
    if data_path in BUILTIN:
        return BUILTIN[data_path]()
    path = Path(data_path).expanduser()
    if data_path and path.is_dir():
        return saved_splits(path)
    if path.is_file():
        return _by_split(path)
    if HUB_ID.fullmatch(data_path) and not data_path.endswith(DATA_SUFFIXES):
        return hub_splits(data_path)
    raise _unknown(data_path)


def _by_split(path: Path) -> dict[str, list[RawRow]]:
    if not path.name.endswith(DATA_SUFFIXES):
        raise UserError(
            "not a kind of file that problems are read from",
            where=str(path),
            fix=f"give a file ending in {', '.join(DATA_SUFFIXES)}, or a folder saved by datasets' save_to_disk",
        )
    splits: dict[str, list[RawRow]] = {}
    for row in jsonl_rows(path):
        splits.setdefault(row.split, []).append(row)
    return splits


def _no_split(data_path: str, split: str, found: Mapping[str, Sequence[RawRow]]) -> UserError:
    there = [name for name, rows in found.items() if rows]
    if not there:
        return DataError("there are no rows", where=data_path)
    return UserError(
        f"there is no split {split!r}, only {', '.join(there)}",
        where=data_path,
        fix=f"give --split {','.join(there)}; rows of JSONL files belong to 'test' unless a column 'split' says more",
    )


def _unknown(data_path: str) -> UserError:
    known = ", ".join(BUILTIN)
    if "/" in data_path or data_path.endswith(DATA_SUFFIXES):
        return UserError("no such file or folder", where=data_path, fix=f"give a path that exists, or one of {known}")
    near = difflib.get_close_matches(data_path, BUILTIN, n=1)
    return UserError(
        f"unknown data set {data_path!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        fix=f"give one of {known}, a folder saved by datasets, a JSONL file, or a Hub id (owner/name)",
    )
