"""The Parquet files of the merged data set: their columns, and rows as bytes that depend on nothing but the rows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.merging.merge import Distinct, Judged
from harness.records import MergedRow, PairRow, ProblemLabels

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
        pa.field("ratio", pa.float64()),  # these five: null for passed versus failed
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("rounds", pa.int64()),
        pa.field("confirmed", pa.bool_()),
    ]
)
_PAIR_COLUMNS = tuple(field.name for field in fields(PairRow))


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


def pair_row(pair: PairRow) -> dict[str, Any]:
    return {name: getattr(pair, name) for name in _PAIR_COLUMNS}


def parquet_bytes(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> bytes:
    """A Parquet file's bytes. The same rows give the same bytes (with one version of pyarrow)."""
    table = pa.Table.from_pylist(list(rows), schema=schema)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
