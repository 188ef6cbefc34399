"""A split as Parquet shards that `datasets` loads, written as rows come; and a folder that is there whole or not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import UserError
from harness.storage_errors import storage_errors
from harness.store import held, sync_folder

DATA, CARD = "data", "README.md"
SHARD_BYTES = 256 * 1024**2  # of text, before compression
GROUP_BYTES, GROUP_ROWS = 8 * 1024**2, 1_000  # of a row group: what is in memory at a time


class SplitWriter:
    """Appends rows to the shards `data/<split>-<number>-of-<count>.parquet` of a folder; named so once it is closed."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema, *, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._split, self._schema = folder / DATA, split, schema
        self._shard_bytes = shard_bytes
        self._writer: pq.ParquetWriter | None = None
        self._shards: list[Path] = []
        self._rows: list[Mapping[str, Any]] = []
        self._group_bytes = self._written_bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """row: a value for each column of the schema."""
        self._rows.append(row)
        self._group_bytes += sum(len(value) for value in row.values() if isinstance(value, str))
        if self._group_bytes >= GROUP_BYTES or len(self._rows) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._shards.append(self._folder / f"{self._split}-{len(self._shards):05d}.parquet")
            self._writer = pq.ParquetWriter(self._shards[-1], self._schema, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._written_bytes += self._group_bytes
        self._rows, self._group_bytes = [], 0
        if self._written_bytes >= self._shard_bytes:
            self._end_shard()

    def _end_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._written_bytes = None, 0

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._flush()
        self._end_shard()
        if error is None:
            for number, path in enumerate(self._shards):
                path.rename(path.with_name(f"{self._split}-{number:05d}-of-{len(self._shards):05d}.parquet"))


@contextmanager
def whole_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder to write into that becomes `out` when the block ends without an error.

    Raises UserError where there is something already; with `overwrite`, where that is not an earlier export; and while
    another command exports to the same folder.
    """
    there = {path.name for path in out.iterdir()} if out.is_dir() else set[str]()
    if out.is_file() or there - {DATA, CARD}:
        raise UserError("there is something else", where=str(out), fix="give --out a folder of its own")
    if there and not overwrite:
        raise UserError("there is an export already", where=str(out), fix="give another --out, or --overwrite")
    temporary = out.with_name(f".{out.name}.tmp")
    with storage_errors(temporary):
        temporary.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
    try:
        held(descriptor, temporary, "another command is exporting to this folder", out)
        try:
            with storage_errors(temporary):
                _empty(temporary)  # of what a killed export left
                yield temporary
                if out.is_dir():
                    shutil.rmtree(out)
                temporary.rename(out)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(out.parent)
    finally:
        os.close(descriptor)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
