"""Rows by problem from files in any order: the same rows as reading the file whole, and the same refusals."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.records import FinishReason, Sample
from harness.row_index import READ_AHEAD_BYTES, TaskIndex
from harness.store import read_rows, write_rows

names = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=()), max_size=6)
rows = st.lists(st.builds(Sample, names, st.integers(0, 9), names, names, st.sampled_from(FinishReason)), max_size=30)


@given(rows, st.booleans())
def test_each_problem_has_its_rows_in_file_order(samples: list[Sample], unfinished: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.jsonl"
        write_rows(path, samples)
        if unfinished:
            with path.open("a") as stream:
                stream.write('{"task_id": "half')
        index = TaskIndex(path, Sample)
        there = list(read_rows(path, Sample))
        assert list(index.task_ids) == list(dict.fromkeys(row.task_id for row in there))
        for task_id in index.task_ids:
            expected = [row for row in there if row.task_id == task_id]
            assert list(index.rows(task_id)) == expected
            assert index.count(task_id) == len(expected)
        assert list(index.rows("nobody")) == []
        assert index.count("nobody") == 0


def test_rows_of_others_shapes_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    rest = '"sample_id": 0, "model": "m", "completion": "", "finish_reason": "eos"'
    path.write_text(f'{{{rest}, "task_id": "a"}}\n\n  \n{{"task_id": "\\u0061", {rest}}}\n{{ "task_id":"b", {rest}}}\n')
    index = TaskIndex(path, Sample)
    assert {task_id: len(list(index.rows(task_id))) for task_id in index.task_ids} == {"a": 2, "b": 1}


def test_rows_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    long = [Sample("a", number, "m", "x" * READ_AHEAD_BYTES, FinishReason.EOS) for number in range(3)]
    write_rows(path, long)
    assert list(TaskIndex(path, Sample).rows("a")) == long


@pytest.mark.parametrize("line", ["{}", "[1]", "nonsense", '{"task_id": 7}'])
def test_a_line_without_a_task_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    write_rows(path, [Sample("a", 0, "m", "", FinishReason.EOS)])
    with path.open("a") as stream:
        stream.write("\n" + line + "\n")
    with pytest.raises(DataError, match=r"samples\.jsonl:3"):
        TaskIndex(path, Sample)


def test_a_broken_row_is_named_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    good = Sample("a", 0, "m", "", FinishReason.EOS)
    write_rows(path, [good, good])
    with path.open("a") as stream:
        stream.write(json.dumps({"task_id": "b", "sample_id": "many"}) + "\n")
    index = TaskIndex(path, Sample)
    assert len(list(index.rows("a"))) == 2
    with pytest.raises(DataError, match=r"samples\.jsonl:3: column 'sample_id'"):
        list(index.rows("b"))


def test_no_file_no_rows(tmp_path: Path) -> None:
    assert not TaskIndex(tmp_path / "none.jsonl", Sample).task_ids
