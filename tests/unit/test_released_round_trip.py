"""The authors' released files from the command line: in, out again as they were, and into training."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app as cli
from harness.exchange.choosing import PairChoice, chosen_pairs
from harness.records import MergedRow, PairKind, Sample
from harness.store import read_rows
from training.dataset import read_merged
from training.selection import Task, build_pool, lacks

DATA = Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data"))
FOLDER, PROBLEMS = DATA / "released", DATA / "mbpp_code_optimise"
FILES = {"starcoder-1b": (40, 3_533, 801), "codellama-7b": (55, 4_962, 1_696)}  # problems, solutions, passing
STARCODER_PASSING_PAIRS = 15_189

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"{FOLDER} is not here: set CODE_OPTIMISE_DATA to the folder with the released data"
)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.output


def where(root: Path) -> list[str]:
    return ["--data_path", str(PROBLEMS), "--split", "validation", "--save_path", "x", "--root", str(root)]


def rows_of(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("model", FILES)
def test_released_data_comes_out_as_it_went_in(tmp_path: Path, model: str) -> None:
    released = FOLDER / f"{model}_mbpp_validation.merged.jsonl"
    assert f"problems {FILES[model][0]} for validation" in run("import", str(released), *where(tmp_path))
    out = tmp_path / "merged.json"
    run("export", "--what", "merged", "--out", str(out), *where(tmp_path))
    assert rows_of(out) == rows_of(released)
    assert "\\r\\n" in out.read_text()

    rows = list(read_merged(tmp_path / "datasets" / "x" / PROBLEMS.name / "validation" / "merged.jsonl"))
    counts = len(rows), sum(len(row.answers) for row in rows), sum(row.passing for row in rows)
    assert counts == FILES[model]
    for row in rows:
        pool, order = build_pool(row, range(len(row.answers)))
        assert order == list(range(len(row.answers))), "without tiers, training ranks answers by their place"
        assert [lacks(pool, task) for task in (None, Task.PVF, Task.QVS_RELEASED)] == ["", "", ""]
        assert lacks(pool, Task.QVS) == "no decided pair"


def test_the_published_draw_has_the_pairs_that_the_published_data_has(tmp_path: Path) -> None:
    run("import", str(FOLDER / "starcoder-1b_mbpp_validation.merged.jsonl"), *where(tmp_path))
    merged = tmp_path / "datasets" / "x" / PROBLEMS.name / "validation" / "merged.jsonl"
    pairs = [pair for row in read_rows(merged, MergedRow) for pair in chosen_pairs(row, PairChoice("qvs_released"))]
    assert sum(pair.kind is PairKind.QVS for pair in pairs) == STARCODER_PASSING_PAIRS


def test_released_solutions_come_out_as_samples(tmp_path: Path) -> None:
    """As outputs, the answers are samples to be judged anew; written and read again they are the same."""
    released = FOLDER / "starcoder-1b_mbpp_validation.merged.jsonl"
    run("import", str(released), "--as", "outputs", *where(tmp_path / "one"))
    out = tmp_path / "outputs.json"
    run("export", "--what", "outputs", "--out", str(out), *where(tmp_path / "one"))
    run("import", str(out), *where(tmp_path / "two"))
    one, two = (
        list(read_rows(tmp_path / name / "samples" / "x" / PROBLEMS.name / "validation" / "samples.jsonl", Sample))
        for name in ("one", "two")
    )
    assert len(one) == FILES["starcoder-1b"][1]
    assert one == two
