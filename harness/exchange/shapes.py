"""What kind of file an import is given: told by the columns of its first row that can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.errors import DataError, UserError
from harness.exchange.rows import ForeignRow, foreign_rows


class Shape(StrEnum):
    """What the rows of a file are."""

    OUTPUTS = "outputs"  # samples: outputs.json, EvalPlus and HumanEval samples
    CHECKS = "checks"  # check_<pass>.json: samples with the outcome and time of one pass
    MERGED = "merged"  # merged.json: problems with their solutions, ordered by time


def shape_of(value: Mapping[str, Any]) -> Shape | None:
    """The shape of a row, or None."""
    if "answers" in value:
        return Shape.MERGED
    if "output" in value and "avg_time" in value:
        return Shape.CHECKS
    return Shape.OUTPUTS if "completion" in value or "solution" in value else None


def detect(files: Sequence[Path]) -> Shape:
    """The one shape of all files. Raises DataError where a file has none, UserError where they differ."""
    shapes = {path: _shape_of_file(path) for path in files}
    if len(set(shapes.values())) > 1:
        listing = ", ".join(f"{path.name}: {shape}" for path, shape in shapes.items())
        raise UserError(f"files of different shapes ({listing})", where="import", fix="import them one after another")
    return next(iter(shapes.values()))


def _shape_of_file(path: Path) -> Shape:
    for row in foreign_rows(path):
        if isinstance(row, ForeignRow) and (shape := shape_of(row.value)):
            return shape
    raise DataError(
        "no row of a known shape",
        where=str(path),
        fix="give outputs.json or samples (task_id, completion), runs/check_<pass>.json, or merged.json; see --as",
    )
