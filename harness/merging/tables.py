"""The Parquet files of the merged data set: their columns, and how rows get into them, a bounded number at a time.

A file's bytes depend on nothing but its rows (with one version of pyarrow): row groups are cut by count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.merging.merge import Distinct, Judged
from harness.merging.pairs import pairs_of
from harness.records import Answer, MergedRow, PairKind, ProblemLabels
from harness.store import atomic_file

GROUP_ROWS = 65_536  # rows of a row group, and the most that are held

LABELS_SCHEMA = pa.schema(
    [
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("solution_id", pa.string(), nullable=False),
        pa.field("sample_id", pa.int64(), nullable=False),
        pa.field("copies", pa.int64(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # passing, failing, unstable
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("integrity", pa.string(), nullable=False),
        pa.field("merged", pa.bool_(), nullable=False),  # whether it is an answer of merged.jsonl
        pa.field("runtime_ns", pa.float64()),  # these five: null where it has no run time
        pa.field("low_ns", pa.float64()),
        pa.field("high_ns", pa.float64()),
        pa.field("rounds", pa.int64()),
        pa.field("tier", pa.int64()),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
    ]
)
PAIRS_SCHEMA = pa.schema(
    [
        pa.field("task_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("chosen_sample", pa.int64(), nullable=False),
        pa.field("rejected_sample", pa.int64(), nullable=False),
        pa.field("chosen_verdict", pa.string(), nullable=False),
        pa.field("rejected_verdict", pa.string(), nullable=False),
        pa.field("chosen_integrity", pa.string(), nullable=False),
        pa.field("rejected_integrity", pa.string(), nullable=False),
        pa.field("ratio", pa.float64()),  # these five: null for passed versus failed
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("rounds", pa.int64()),
        pa.field("confirmed", pa.bool_()),
    ]
)


def label_rows(judged: Judged, labels: ProblemLabels | None, row: MergedRow | None) -> Iterator[dict[str, Any]]:
    """One row for each distinct solution of a problem, whether or not the problem was kept."""
    kept = {answer.solution_id for answer in row.answers} if row else set[str]()
    timed = {label.solution_id: label for label in labels.labels} if labels else {}
    outcomes: tuple[tuple[str, Sequence[Distinct]], ...] = (
        ("passing", judged.passing),
        ("failing", judged.failing),
        ("unstable", judged.unstable),
    )
    for outcome, solutions in outcomes:
        for distinct in solutions:
            label = timed.get(distinct.solution_id)
            yield {
                "task_id": distinct.sample.task_id,
                "solution_id": distinct.solution_id,
                "sample_id": distinct.sample.sample_id,
                "copies": distinct.copies,
                "outcome": outcome,
                "verdict": distinct.execution.verdict,
                "integrity": distinct.execution.integrity,
                "merged": distinct.solution_id in kept,
                "runtime_ns": label.runtime_ns if label else None,
                "low_ns": label.low_ns if label else None,
                "high_ns": label.high_ns if label else None,
                "rounds": label.rounds if label else None,
                "tier": label.tier if label else None,
                "flags": list(label.flags) if label else [],
            }


def pair_tables(row: MergedRow) -> Iterator[pa.Table]:
    """The rows of `pairs_of` as tables of at most GROUP_ROWS rows.

    Passed-versus-failed pairs are one column repeated and one tiled: there may be very many.
    """
    decided = islice(pairs_of(row), len(row.decided))
    yield pa.Table.from_pylist([asdict(pair) for pair in decided], schema=PAIRS_SCHEMA)
    passing, failing = row.answers[: row.passing], row.answers[row.passing :]
    at_once = max(1, GROUP_ROWS // max(1, len(failing)))
    for begin in range(0, len(passing) if failing else 0, at_once):
        yield _passed_versus_failed(row.id, passing[begin : begin + at_once], failing)


def _passed_versus_failed(task_id: str, passing: Sequence[Answer], failing: Sequence[Answer]) -> pa.Table:
    count = len(passing) * len(failing)
    columns: dict[str, Any] = {
        "task_id": pa.repeat(task_id, count),
        "kind": pa.repeat(str(PairKind.PVF), count),
    }
    sides = (
        ("chosen", passing, np.repeat(np.arange(len(passing)), len(failing))),
        ("rejected", failing, np.tile(np.arange(len(failing)), len(passing))),
    )
    for side, answers, places in sides:
        columns[f"{side}_sample"] = pa.array([answer.sample_id for answer in answers], pa.int64()).take(places)
        columns[f"{side}_verdict"] = pa.array([answer.verdict for answer in answers], pa.string()).take(places)
        columns[f"{side}_integrity"] = pa.array([answer.integrity for answer in answers], pa.string()).take(places)
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in PAIRS_SCHEMA], PAIRS_SCHEMA)


class ParquetSink:
    """Rows on their way into one Parquet file."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= GROUP_ROWS:
            self.flush(whole_groups=True)

    def add_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        self.add(pa.Table.from_pylist(list(rows), schema=self._writer.schema))

    def flush(self, *, whole_groups: bool = False) -> None:
        """Write what waits; with `whole_groups`, leave what does not fill a row group."""
        waiting = pa.concat_tables(self._waiting)
        written = self._rows // GROUP_ROWS * GROUP_ROWS if whole_groups else self._rows
        self._writer.write_table(waiting.slice(0, written), row_group_size=GROUP_ROWS)
        self._waiting = [waiting.slice(written)]
        self._rows -= written


@contextmanager
def parquet_file(path: Path, schema: pa.Schema) -> Iterator[ParquetSink]:
    """A sink whose file is there, whole, when the block ends without an error."""
    with atomic_file(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        sink = ParquetSink(writer)
        yield sink
        sink.add(schema.empty_table())
        sink.flush()
