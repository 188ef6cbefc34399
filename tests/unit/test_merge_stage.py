"""The stage on real files: what is written, that it is the same bytes each time, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_merge import PROBLEM, TIMES, USUAL, execution, sample
from timing_blocks import confirmed_blocks

from harness.errors import DataError, UserError
from harness.merging.merge import MergeSettings
from harness.merging.stage import MergeStageSettings, MergeSummary, merge
from harness.progress import SilentReporter
from harness.records import MergedRow, Problem
from harness.store import AppendFile, read_rows
from harness.timing.decisions import DecisionSettings

OTHER = Problem("u", "def g(x):\n", "", "g", "train", "test")
OUTPUTS = ("merged.jsonl", "dropped.jsonl", "labels.parquet", "pairs.parquet", "summary.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    samples = tmp_path / "samples"
    with AppendFile(samples / "samples.jsonl") as stream:
        for number in range(7):
            stream.append(sample(number, "    return '\ud800'\n" if number == 2 else ""))
        stream.append(sample(0, task_id="u"))
        stream.append(sample(0, task_id="foreign"))
    with AppendFile(samples / "executions.jsonl") as stream:
        for row in (*USUAL, execution(0, "x", task_id="u")):
            stream.append(row)
    with AppendFile(samples / "measurements.jsonl") as stream:
        for block in confirmed_blocks(TIMES, np.random.default_rng(0)):
            stream.append(block)
    return samples


def run(folder: Path, out: Path, settings: MergeStageSettings | None = None) -> MergeSummary:
    return merge([PROBLEM, OTHER], folder, out, settings=settings, reporter=SilentReporter())


def test_files_and_summary(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = run(folder, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(OUTPUTS)
    (row,) = read_rows(out / "merged.jsonl", MergedRow)
    assert {answer.solution_id for answer in row.answers[: row.passing]} == {"fast", "fast2", "slow"}
    assert "    return '\ud800'\n" in {answer.text for answer in row.answers}
    assert summary.samples == {"samples": 8, "unjudged": 0, "internal": 0, "weak_excluded": 0, "other_problems": 1}
    assert summary.solutions == {"passing": 4, "failing": 2, "unstable": 0, "untimed": 1, "weak": 0}
    assert summary.kept == {"problems": 1, "answers": 5, "passing": 3, "failing": 2}
    assert summary.dropped["too_few_passing"] == 1
    assert sum(summary.dropped.values()) == 1
    assert sum(summary.comparisons.values()) == 3
    assert summary.undecided_share == summary.comparisons["undecided"] / 3
    assert summary.pairs == {"qvs": len(row.decided), "qvs_confirmed": len(row.decided), "pvf": 6}
    assert json.loads((out / "dropped.jsonl").read_text()) == {
        "task_id": "u", "reason": "too_few_passing", "samples": 1, "passing": 1, "failing": 0,
    }  # fmt: skip
    assert json.loads((out / "summary.json").read_text())["kept"] == summary.kept


def test_tables(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out")
    labels = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    assert [(r["task_id"], r["solution_id"], r["outcome"], r["merged"]) for r in labels] == [
        ("t", "slow", "passing", True), ("t", "fast", "passing", True), ("t", "fast2", "passing", True),
        ("t", "bad", "failing", True), ("t", "ugly", "failing", True), ("u", "x", "passing", False),
    ]  # fmt: skip
    assert labels[0]["copies"] == 2
    assert labels[0]["runtime_ns"] == pytest.approx(200, rel=0.15)
    assert labels[3]["runtime_ns"] is None
    assert labels[3]["flags"] == []
    pairs = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()
    assert {pair["kind"] for pair in pairs} == {"qvs", "pvf"}
    assert all((pair["ratio"] is None) == (pair["kind"] == "pvf") for pair in pairs)


def test_same_input_same_bytes_and_output_is_remade(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run(folder, first)
    second.mkdir()
    for name in OUTPUTS:
        (second / name).write_bytes(b"old")
    run(folder, second)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in OUTPUTS)


def test_settings_reach_the_decisions(folder: Path, tmp_path: Path) -> None:
    strict = MergeStageSettings(decisions=DecisionSettings(min_rounds=6))
    assert run(folder, tmp_path / "a", strict).pairs["qvs"] == 0
    loose = MergeStageSettings(keep=MergeSettings(min_failing=3))
    assert run(folder, tmp_path / "b", loose).dropped["too_few_failing"] == 1
    assert pq.read_table(tmp_path / "b" / "pairs.parquet").num_rows == 0
    assert (tmp_path / "b" / "merged.jsonl").read_text() == ""


def test_a_half_written_measurement_is_left_out(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "a")
    with (folder / "measurements.jsonl").open("a") as stream:
        stream.write('{"task_id": "t", "rou')
    run(folder, tmp_path / "b")
    assert (tmp_path / "a" / "merged.jsonl").read_bytes() == (tmp_path / "b" / "merged.jsonl").read_bytes()


def test_refusals(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no samples yet"):
        run(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "samples.jsonl").write_bytes((folder / "samples.jsonl").read_bytes())
    with pytest.raises(UserError, match="annotate"):
        run(tmp_path / "half", tmp_path / "out")
    with (folder / "samples.jsonl").open("a") as stream:
        stream.write('{"task_id":"t","sample_id":9,"model":"other","completion":"","finish_reason":"eos"}\n')
    with pytest.raises(DataError, match="more than one model"):
        run(folder, tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())
