"""The rows of a JSONL file by problem, without holding them in memory.

One pass notes where each problem's rows lie (16 bytes a row); they are read when they are asked for. So a stage that
works problem by problem needs the memory of one problem, whatever the file's size and the order of its rows.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, KeysView
from pathlib import Path
from typing import Generic, TypeVar

from harness.errors import DataError
from harness.store import parse_row

Row = TypeVar("Row")

# How our own rows begin; others are read as JSON, which takes five times as long.
_OWN_ROW = re.compile(rb'\{"task_id": ?"([^"\\]*)"')
READ_AHEAD_BYTES = 1024 * 1024


class TaskIndex(Generic[Row]):
    """Rows of type `row_type`, which has a `task_id`, in file order. A file that is not there has none.

    A half-written last line is left out. A line without a task_id raises DataError when the index is made, any other
    broken row when it is read; both name the file and the row.
    """

    def __init__(self, path: Path, row_type: type[Row]) -> None:
        self.path = path
        self._row_type = row_type
        self._places: dict[str, array[int]] = defaultdict(lambda: array("Q"))  # offset, length, offset, length …
        if path.exists():
            for offset, line in _lines(path):
                self._places[self._task_id(line, offset)].extend((offset, len(line)))

    @property
    def task_ids(self) -> KeysView[str]:
        """The problems that have rows, in the order of their first."""
        return self._places.keys()

    def count(self, task_id: str) -> int:
        return len(self._places[task_id]) // 2 if task_id in self._places else 0

    def rows(self, task_id: str) -> Iterator[Row]:
        """The problem's rows in file order."""
        for offset, line in self._lines(task_id):
            yield self._parse(line, offset)

    def lines(self, task_id: str) -> Iterator[bytes]:
        """The same rows as they stand in the file, line ends included."""
        return (line for _, line in self._lines(task_id))

    def _lines(self, task_id: str) -> Iterator[tuple[int, bytes]]:
        if task_id not in self._places:
            return
        with self.path.open("rb", buffering=0) as stream:
            for begin, lengths in _runs(self._places[task_id]):
                data = os.pread(stream.fileno(), sum(lengths), begin)
                at = 0
                for length in lengths:
                    yield begin + at, data[at : at + length]
                    at += length

    def _parse(self, line: bytes, offset: int) -> Row:
        try:
            return parse_row(self._row_type, line, where="")
        except DataError:
            # Only now is the number of the row worth counting the lines before it.
            return parse_row(self._row_type, line, where=f"{self.path}:{_row_number(self.path, offset)}")

    def _task_id(self, line: bytes, offset: int) -> str:
        if own := _OWN_ROW.match(line):
            try:
                return own[1].decode()
            except UnicodeDecodeError:
                pass
        try:
            task_id = json.loads(line)["task_id"]
        except (ValueError, KeyError, TypeError, RecursionError):
            task_id = None
        if not isinstance(task_id, str):
            row = self._parse(line, offset)  # says what is wrong with it
            task_id = str(getattr(row, "task_id", ""))
        return task_id


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, line with its end) of each whole line that is not blank."""
    offset = 0
    with path.open("rb", buffering=READ_AHEAD_BYTES) as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                return
            if not line.isspace():
                yield offset, line
            offset += len(line)


def _runs(places: array[int]) -> Iterator[tuple[int, list[int]]]:
    """Neighbouring lines as (offset of the first, length of each), none much longer than what is read at once."""
    begin, end, lengths = 0, -1, list[int]()
    for offset, length in zip(places[::2], places[1::2], strict=True):
        if lengths and (offset != end or end - begin > READ_AHEAD_BYTES):
            yield begin, lengths
            lengths = []
        if not lengths:
            begin = offset
        lengths.append(length)
        end = offset + length
    if lengths:
        yield begin, lengths


def _row_number(path: Path, offset: int) -> int:
    number = 1
    with path.open("rb") as stream:
        while offset > 0 and (chunk := stream.read(min(offset, READ_AHEAD_BYTES))):
            number += chunk.count(b"\n")
            offset -= len(chunk)
    return number
