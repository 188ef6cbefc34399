"""Published training data as ours, and the shapes that files are told apart by."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli import stages
from harness.cli.asked import Where
from harness.errors import DataError, UserError
from harness.exchange.importing import ImportRequest, import_files
from harness.exchange.merged import MergedImporter, published_merged
from harness.exchange.published import write_evalplus, write_merged, write_outputs
from harness.exchange.rows import RejectedRow
from harness.exchange.samples import SampleImporter
from harness.exchange.shapes import Shape, detect
from harness.exchange.tasks import evalplus_id, published_id
from harness.merging.merge import MergeSettings
from harness.merging.pairs import pairs_of
from harness.progress import SilentReporter
from harness.records import MergedRow, Problem, Sample
from harness.store import read_rows, write_rows

PROMPT = 'def f(x):\r\n    """Doc."""'
PROBLEMS = [Problem(task, PROMPT + "\n", "", "f", "train", "test") for task in ("1", "HumanEval/2")]
KNOWN = {problem.task_id: problem for problem in PROBLEMS}
ROW: dict[str, Any] = {
    "id": 1,
    "question": PROMPT,
    "answers": [
        {"text": "\r\n    return x\r", "votes": 5.5},
        {"text": "\r\n    return x\r", "votes": 7},
        {"text": "\r\n    return -x", "votes": 7.0},
        {"text": "", "votes": None},
    ],
    "time": {"count": 3.0, "avg": 6.5, "std": 0.9, "cov": 0.14},
}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def changed(column: str, value: Any) -> dict[str, Any]:
    return copy.deepcopy(ROW) | {column: value}


def bring_in(path: Path, folder: Path, shape: Shape = Shape.MERGED, *, overwrite: bool = False) -> dict[str, int]:
    request = ImportRequest([path], shape, {"train": PROBLEMS}, lambda _: folder, "m", overwrite)
    return import_files(request, SilentReporter())


def test_merging_does_not_replace_what_was_imported(tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "x" / "starter" / "train"
    bring_in(write(tmp_path / "m", ROW), folder)
    before = (folder / "merged.jsonl").read_bytes()
    where = Where(tmp_path, "x", "starter", ("train",), limit=1)
    with pytest.raises(UserError, match="were imported"):
        stages.merge(where, MergeSettings(), SilentReporter())
    assert (folder / "merged.jsonl").read_bytes() == before


def test_texts_order_copies_and_figures_are_kept_and_nothing_is_made_up(tmp_path: Path) -> None:
    (row,) = MergedImporter(KNOWN).read(write(tmp_path / "m", ROW))
    assert isinstance(row, MergedRow)
    assert (row.id, row.question, row.entry_point, row.passing) == ("1", PROMPT, "f", 3)
    assert [(a.text, a.votes) for a in row.answers] == [(a["text"], a["votes"]) for a in ROW["answers"]]
    assert [answer.sample_id for answer in row.answers] == [0, 1, 2, 3]
    first, copied, other, _ = (answer.solution_id for answer in row.answers)
    assert first == copied != other
    assert [answer.verdict for answer in row.answers] == ["PASSED", "PASSED", "PASSED", "FAILED"]
    assert {(a.integrity, a.tier, a.low_ns, a.high_ns, a.copies) for a in row.answers} == {
        ("none", None, None, None, 1)
    }
    assert row.decided == []
    assert {str(pair.kind) for pair in pairs_of(row)} == {"pvf"}
    assert row.time == ROW["time"]
    assert published_merged(row, {}) == ROW


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (changed("id", 9), "unknown task '9'"),
        (changed("question", "def g(): pass"), "column 'question' is not the prompt of task '1'"),
        (changed("answers", {}), "column 'answers': not a list of objects"),
        (changed("answers", [3]), "column 'answers': not a list of objects"),
        (changed("answers", [{"text": "a"}]), "answer 1: no column 'votes'"),
        (changed("answers", [{"text": "a", "votes": 1, "rank": 0}]), "answer 1: unknown column 'rank'"),
        (changed("answers", [{"text": None, "votes": 1}]), "answer 1: column 'text': not text"),
        (changed("answers", [{"text": "", "votes": True}]), "answer 1: column 'votes': not a number"),
        (changed("answers", [{"text": "", "votes": float("inf")}]), "answer 1: column 'votes': not from 1 to 3.6e+12"),
        (changed("answers", ROW["answers"][::-1]), "column 'answers': one with votes comes after one without"),
        (changed("answers", ROW["answers"][2::-1]), "column 'answers': not fastest first"),
        (changed("time", None), "column 'time': not an object"),
        (changed("time", ROW["time"] | {"avg": None}), "column 'avg': not a number"),
        (ROW | {"passing": 3}, "unknown column 'passing'"),
        (ROW | {"schema_version": 1}, "this program's own merged.jsonl, whose evidence would be lost"),
        ({"id": 1}, "no column 'question'"),
        (ROW, None),
    ],
)
def test_a_row_that_cannot_be_read_costs_itself_only(tmp_path: Path, row: dict[str, Any], reason: str | None) -> None:
    other = changed("id", "HumanEval/2")
    got = list(MergedImporter(KNOWN).read(write(tmp_path / "m", row, other)))
    assert isinstance(got[1], MergedRow)
    if reason is None:
        assert isinstance(got[0], MergedRow)
    else:
        assert isinstance(got[0], RejectedRow)
        assert got[0].reason.startswith(reason)


def test_a_problem_comes_once(tmp_path: Path) -> None:
    _, row = MergedImporter(KNOWN).read(write(tmp_path / "m", ROW, ROW))
    assert isinstance(row, RejectedRow)
    assert row.reason == "task '1' was there before"


@pytest.mark.parametrize("task_id", [1, "1", "mbpp/1", "HumanEval/2", 2])
def test_ids_come_out_as_they_went_in(tmp_path: Path, task_id: int | str) -> None:
    path = write(tmp_path / "m", changed("id", task_id))
    bring_in(path, tmp_path / "data")
    assert write_merged(tmp_path / "data", tmp_path / "out") == 1
    assert json.loads((tmp_path / "out").read_text()) == changed("id", task_id)
    samples = write(tmp_path / "s", {"task_id": task_id, "completion": "a"}, {"task_id": task_id, "completion": "b"})
    bring_in(samples, tmp_path / "run", Shape.OUTPUTS)
    assert write_outputs(tmp_path / "run", tmp_path / "outputs.json") == 2
    rows = [{"task_id": task_id, "completion": text} for text in "ab"]
    assert json.loads((tmp_path / "outputs.json").read_text()) == rows


def test_merged_data_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path, folder = write(tmp_path / "m", ROW), tmp_path / "data"
    folder.mkdir()
    for name in ("merged.jsonl", "pairs.parquet"):
        (folder / name).write_text("")
    with pytest.raises(UserError, match="merged here"):
        bring_in(path, folder)
    bring_in(path, folder, overwrite=True)
    assert not (folder / "pairs.parquet").exists(), "tables of other data would be taken for this one's"
    bring_in(path, folder)
    (folder / "summary.json").write_text("{}")  # as merging leaves it
    with pytest.raises(UserError, match="merged here"):
        bring_in(path, folder)


def test_files_are_told_apart_by_their_columns(tmp_path: Path) -> None:
    check = {"task_id": 1, "completion_id": 0, "completion": "", "output": "passed", "avg_time": 1.0}
    outputs, checks, merged = (
        write(tmp_path / name, *rows)
        for name, rows in (("o", [[1], {"task_id": 1, "completion": ""}]), ("c", [check]), ("m", [ROW]))
    )
    listed = tmp_path / "l"
    listed.write_text(json.dumps([{"task_id": 1, "solution": ""}]))
    assert detect([outputs, listed]) is Shape.OUTPUTS
    assert detect([checks]) is Shape.CHECKS
    assert detect([merged]) is Shape.MERGED
    with pytest.raises(UserError, match="different shapes"):
        detect([outputs, merged])
    with pytest.raises(DataError, match="known shape"):
        detect([write(tmp_path / "x", {"a": 1})])


def test_a_file_without_a_row_of_use_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing for any"):
        bring_in(write(tmp_path / "m", changed("id", 9)), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_evalplus_samples_are_whole_programs_under_its_own_names(tmp_path: Path) -> None:
    problems = [Problem(task, PROMPT + "\n", "", "f", "train", "t") for task in ("1", "HumanEval/2", "MBPP/3")]
    known = {problem.task_id: problem for problem in problems}
    rows = [Sample(task, 0, "m", "    return x\n", "imported") for task in (*known, "elsewhere")]
    write_rows(tmp_path / "samples.jsonl", rows)
    assert write_evalplus(tmp_path, known, tmp_path / "out") == 3
    written = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    program = PROMPT + "\n    return x\n"
    assert written == [{"task_id": name, "solution": program} for name in ("Mbpp/1", "HumanEval/2", "Mbpp/3")]
    again = list(SampleImporter(known, "m").read(tmp_path / "out"))
    assert again == list(read_rows(tmp_path / "samples.jsonl", Sample))[:3]


def test_ids_as_others_write_them() -> None:
    assert [published_id(name) for name in ("514", "0", "007", "HumanEval/3", "1" * 30)] == [
        514,
        0,
        "007",
        "HumanEval/3",
        "1" * 30,
    ]
    assert [evalplus_id(name) for name in ("514", "MBPP/4", "HumanEval/3", "sum_to_n")] == [
        "Mbpp/514",
        "Mbpp/4",
        "HumanEval/3",
        "sum_to_n",
    ]
