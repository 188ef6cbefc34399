"""The Parquet files: the same pairs as row by row, whole row groups, and files that are whole or not there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.merging import tables
from harness.merging.pairs import pairs_of
from harness.merging.tables import PAIRS_SCHEMA, pair_tables, parquet_file
from harness.records import Answer, MergedRow, QuickSlow


def answer(number: int, verdict: str, integrity: str = "strong") -> Answer:
    return Answer("pass", 1.0 if verdict == "PASSED" else None, number, f"{number:016x}", verdict, integrity)


def merged_row(passing: int, failing: int, decided: list[QuickSlow]) -> MergedRow:
    answers = [answer(number, "PASSED", "weak" if number % 3 else "strong") for number in range(passing)]
    answers += [answer(100 + number, "ERROR" if number % 2 else "WRONG") for number in range(failing)]
    return MergedRow("t", "def f():\n", "f", answers, {}, passing, decided)


@settings(deadline=None)  # the first table loads pyarrow's kernels
@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 40))
def test_pairs_are_those_that_are_listed_row_by_row(passing: int, failing: int, group: int) -> None:
    several = [(quick, slow) for quick in range(passing) for slow in range(quick + 1, passing)]
    decided = [QuickSlow(quick, slow, 2.0, 1.5, 2.5, 5, slow % 2 == 0) for quick, slow in several]
    row = merged_row(passing, failing, decided)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "GROUP_ROWS", group)
        made = list(pair_tables(row))
    assert all(table.num_rows <= max(group, failing) for table in made[1:])
    assert pa.concat_tables(made).to_pylist() == [asdict(pair) for pair in pairs_of(row)]


@pytest.mark.parametrize("sizes", [[], [0], [3], [4, 4], [1, 9, 0, 6], [25]])
def test_rows_come_back_in_whole_groups(sizes: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "GROUP_ROWS", 4)
    wanted = []
    with parquet_file(tmp_path / "pairs.parquet", PAIRS_SCHEMA) as sink:
        for number, failing in enumerate(sizes):
            pairs = [asdict(pair) for pair in pairs_of(merged_row(1, failing, []))]
            wanted += [pair | {"task_id": f"{number}"} for pair in pairs]
            sink.add_rows(wanted[len(wanted) - failing :])
    file = pq.ParquetFile(tmp_path / "pairs.parquet")
    assert file.read().to_pylist() == wanted
    groups = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    assert all(rows == 4 for rows in groups[:-1])
    assert sum(groups) == sum(sizes)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    path.write_bytes(b"before")
    pair = asdict(next(pairs_of(merged_row(2, 2, []))))

    def write_both() -> None:
        with parquet_file(path, PAIRS_SCHEMA) as sink:
            sink.add_rows([pair])
            sink.add_rows([pair | {"chosen_verdict": None}])

    with pytest.raises(ValueError, match="verdict"):
        write_both()
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["pairs.parquet"]
