"""`annotate --samples` on a file with everything wrong in it: each bad row is named, the good ones are annotated."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.e2e

GOOD = "    return n * (n + 1) // 2\n"
SLOWER = "    return sum(range(n + 1))\n"
TASK = "starter/sum_to_n"


def test_bad_rows_are_named_and_the_rest_is_annotated(cli, tmp_path):
    path = tmp_path / "bad.jsonl"
    lines = [
        json.dumps({"task_id": TASK, "completion": GOOD}).encode(),
        b"{not json",
        json.dumps({"task_id": "starter/no_such_problem", "completion": GOOD}).encode(),
        json.dumps({"task_id": TASK}).encode(),
        json.dumps({"task_id": TASK, "completion": ""}).encode(),
        json.dumps({"task_id": TASK, "completion": GOOD + "# " + "x" * 1_000_000}).encode(),
        b'{"task_id": "' + TASK.encode() + b'", "completion": "    return 1 # \xff\xfe"}',
        json.dumps({"task_id": TASK, "completion": GOOD + "# \ud800"}).encode(),
        json.dumps({"task_id": TASK, "completion": SLOWER}).encode(),
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    printed = cli.run("annotate", "--save_path", "x", "--split", "train", "--samples", path)
    assert "4 rows gave no sample" in printed
    rejected = cli.rows("samples/x/starter/train/rejected.jsonl")
    assert [row["row"] for row in rejected] == [2, 3, 4, 7]
    assert all(row["reason"] for row in rejected)
    verdicts = [row["verdict"] for row in cli.rows("samples/x/starter/train/executions.jsonl")]
    assert verdicts == ["PASSED", "WRONG", "PASSED", "SYNTAX", "PASSED"]
    (merged,) = cli.rows("datasets/x/starter/train/merged.jsonl")
    assert merged["passing"] == 3
    assert len(merged["answers"]) == 5


def test_a_file_without_one_usable_row_is_an_error(cli, tmp_path):
    path = tmp_path / "useless.jsonl"
    path.write_text('{"task_id": "nobody"}\n')
    printed = cli.run("annotate", "--save_path", "x", "--split", "train", "--samples", path, expect=2)
    assert "useless.jsonl" in printed
    assert "fix" in printed
