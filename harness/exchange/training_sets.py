"""Merged data as data sets for other people's trainers: preference pairs or completions, in Parquet, with a card."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.errors import UserError
from harness.exchange.choosing import (
    PairChoice,
    Rendering,
    as_they_are,
    chosen_pairs,
    fastest,
    is_unicode,
    shared_prompt,
)
from harness.exchange.shards import SHARD_BYTES, SplitWriter
from harness.progress import Reporter
from harness.records import MergedRow
from harness.store import read_rows

TEXT, WHOLE, NUMBER = pa.string(), pa.int64(), pa.float64()
PREFERENCE_SCHEMA = pa.schema(
    [
        pa.field("prompt", TEXT, nullable=False),
        pa.field("chosen", TEXT, nullable=False),
        pa.field("rejected", TEXT, nullable=False),
        pa.field("task_id", TEXT, nullable=False),
        pa.field("kind", TEXT, nullable=False),
        pa.field("chosen_sample", WHOLE, nullable=False),
        pa.field("rejected_sample", WHOLE, nullable=False),
        pa.field("chosen_verdict", TEXT, nullable=False),
        pa.field("rejected_verdict", TEXT, nullable=False),
        pa.field("chosen_integrity", TEXT, nullable=False),
        pa.field("rejected_integrity", TEXT, nullable=False),
        pa.field("chosen_ns", NUMBER),
        pa.field("rejected_ns", NUMBER),  # null: not passed
        pa.field("ratio", NUMBER),  # these five: null where no measurement decides the pair
        pa.field("low", NUMBER),
        pa.field("high", NUMBER),
        pa.field("rounds", WHOLE),
        pa.field("confirmed", pa.bool_()),
    ]
)
SFT_SCHEMA = pa.schema(
    [
        pa.field("prompt", TEXT, nullable=False),
        pa.field("completion", TEXT, nullable=False),
        pa.field("task_id", TEXT, nullable=False),
        pa.field("sample_id", WHOLE, nullable=False),
        pa.field("solution_id", TEXT, nullable=False),
        pa.field("verdict", TEXT, nullable=False),
        pa.field("integrity", TEXT, nullable=False),
        pa.field("runtime_ns", NUMBER),
        pa.field("low_ns", NUMBER),  # these three: null where the data were imported
        pa.field("high_ns", NUMBER),
        pa.field("tier", WHOLE),
        pa.field("copies", WHOLE, nullable=False),
    ]
)
_PAIR_COLUMNS = tuple(
    name for name in PREFERENCE_SCHEMA.names if name not in ("prompt", "chosen", "rejected", "chosen_ns", "rejected_ns")
)
_SPLIT = re.compile(r"\w+(\.\w+)*")  # what `datasets` takes for the name of a split

Rows = Callable[[MergedRow], Iterator[dict[str, Any]]]


@dataclass(slots=True)
class SplitCount:
    """What a split came to. problems: merged ones that were read; used: those that gave a row."""

    problems: int = 0
    used: int = 0
    rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    integrity: Counter[str] = field(default_factory=Counter)
    not_unicode: int = 0  # rows left out because their text can't be stored


def preference_rows(choice: PairChoice, render: Rendering = as_they_are) -> Rows:
    """Merged row → rows of PREFERENCE_SCHEMA."""

    def rows(row: MergedRow) -> Iterator[dict[str, Any]]:
        answers = {answer.sample_id: answer for answer in row.answers}
        texts: dict[int, tuple[str, str]] = {}  # rendered once for all pairs of an answer
        for pair in chosen_pairs(row, choice):
            one, other = (
                texts.get(sample) or texts.setdefault(sample, render(row.question, answers[sample].text))
                for sample in (pair.chosen_sample, pair.rejected_sample)
            )
            prompt, chosen, rejected = shared_prompt(one, other)
            yield {
                "prompt": prompt,
                "chosen": chosen,
                "rejected": rejected,
                "chosen_ns": answers[pair.chosen_sample].votes,
                "rejected_ns": answers[pair.rejected_sample].votes,
                **{name: getattr(pair, name) for name in _PAIR_COLUMNS},
            }

    return rows


def sft_rows(top_p: float, render: Rendering = as_they_are) -> Rows:
    """Merged row → rows of SFT_SCHEMA."""

    def rows(row: MergedRow) -> Iterator[dict[str, Any]]:
        for answer in fastest(row, top_p):
            prompt, completion = render(row.question, answer.text)
            yield {
                "prompt": prompt,
                "completion": completion,
                "task_id": row.id,
                "sample_id": answer.sample_id,
                "solution_id": answer.solution_id,
                "verdict": answer.verdict,
                "integrity": answer.integrity,
                "runtime_ns": answer.votes,
                "low_ns": answer.low_ns,
                "high_ns": answer.high_ns,
                "tier": answer.tier,
                "copies": answer.copies,
            }

    return rows


def write_splits(
    merged: Mapping[str, Path],
    rows: Rows,
    schema: pa.Schema,
    folder: Path,
    tell: Reporter,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, SplitCount]:
    """Write the rows of each split's merged.jsonl, one problem in memory at a time; what came of each split.

    Raises UserError for a name that `datasets` takes for no split, and where no split gives a row.
    """
    if unfit := [split for split in merged if not _SPLIT.fullmatch(split)]:
        raise UserError(
            f"{unfit[0]!r} can't be the name of a split of a data set", where="--split", fix="letters, digits and _"
        )
    counts: dict[str, SplitCount] = {}
    for split, path in merged.items():
        counts[split] = count = SplitCount()
        with path.open("rb") as stream:
            total = sum(1 for _ in stream)
        with (
            SplitWriter(folder, split, schema, shard_bytes=shard_bytes) as writer,
            tell.task(f"export {split}", total, unit="problems") as task,
        ):
            for row in read_rows(path, MergedRow):
                _write_problem(rows(row), writer, count)
                task.advance(note=f"{count.rows:,} rows")
    if not any(count.rows for count in counts.values()):
        raise UserError(
            "no problem gives a row",
            where=", ".join(str(path) for path in merged.values()),
            fix="--confirmed false, a lower --min_ratio, or another --task (imported data have no decided pairs: "
            "qvs_released or pvf)",
        )
    return counts


def _write_problem(rows: Iterator[dict[str, Any]], writer: SplitWriter, count: SplitCount) -> None:
    before = count.rows
    for row in rows:
        if not is_unicode(*(value for value in row.values() if isinstance(value, str))):
            count.not_unicode += 1
            continue
        writer.add(row)
        count.rows += 1
        if "kind" in row:
            count.kinds[row["kind"]] += 1
        count.integrity.update({row[name] for name in row if name.endswith("integrity")})
    count.problems += 1
    count.used += count.rows > before
