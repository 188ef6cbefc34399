"""Others' files read as bytes and row by row, so that one bad row (not UTF-8, not JSON) costs itself only.

A file is JSONL or one JSON list. Rows are counted from 1: lines of a file (blank ones count), elements of a list.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from harness.errors import DataError

MAX_ROW_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
EXCERPT_CHARS = 120
_STRUCTURE = re.compile(rb'["\\{}\[\],]')


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row, or one answer of a row, that is of no use. `excerpt` is its beginning, with bad bytes as escapes."""

    file: str  # its name without the folder
    row: int
    reason: str
    excerpt: str


class RejectError(Exception):
    """Why the row in hand is of no use."""


@dataclass(frozen=True, slots=True)
class ForeignRow:
    """A row that is a JSON object; what is in it is the reader's business."""

    file: str
    row: int
    value: dict[str, Any]
    raw: bytes

    def rejected(self, reason: str) -> RejectedRow:
        return RejectedRow(self.file, self.row, reason, excerpt(self.raw))


def foreign_rows(path: Path) -> Iterator[ForeignRow | RejectedRow]:
    """The rows of a file in order. Raises DataError if it can't be opened; all else that is wrong is a RejectedRow."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(error.strerror or str(error), where=str(path), fix="check the file's path") from error
    with stream:
        begin = stream.read(len(codecs.BOM_UTF8))
        stream.seek(len(begin) if begin == codecs.BOM_UTF8 else 0)
        for row, raw in _elements(stream) if _is_list(stream) else _lines(stream):
            if raw is None:
                yield RejectedRow(path.name, row, f"longer than {MAX_ROW_BYTES // 1024**2} MB", "")
                continue
            try:
                value = json_object(raw)
            except RejectError as error:
                yield RejectedRow(path.name, row, str(error), excerpt(raw))
            else:
                yield ForeignRow(path.name, row, value, raw)


def excerpt(raw: bytes) -> str:
    """The beginning of a row, printable whatever it holds."""
    text = raw[: 4 * EXCERPT_CHARS].decode("utf-8", "backslashreplace").strip()
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
    return shown if len(shown) <= EXCERPT_CHARS else shown[: EXCERPT_CHARS - 1] + "…"


def json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RejectError(f"not UTF-8: byte {raw[error.start]:#04x} at position {error.start}") from error
    except json.JSONDecodeError as error:
        raise RejectError(f"not JSON: {error.msg} at position {error.pos}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        raise RejectError(f"not JSON that can be read: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise RejectError("not a JSON object")
    return value


def _is_list(stream: IO[bytes]) -> bool:
    """Whether the file is one JSON list, not rows that begin with one (a bad one). Leaves the stream where it was."""
    start = stream.tell()
    try:
        while (line := stream.readline(MAX_ROW_BYTES)) and not line.strip():
            pass
        if not line.lstrip().startswith(b"["):
            return False
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return True  # the list goes on after the first line
        return not any(chunk.strip() for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""))
    finally:
        stream.seek(start)


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """(row, line) of each line that isn't blank; None for one that is too long."""
    row = 0
    while line := stream.readline(MAX_ROW_BYTES + 1):
        row += 1
        if len(line) > MAX_ROW_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(CHUNK_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield row, None
        elif line.strip():
            yield row, line


def _elements(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """(row, text) of each element of the one JSON list in the stream; None for one that is too long.

    Only quotes, escapes, commas and brackets are looked at: what is in an element is the JSON reader's business, and
    a bad element leaves the others whole unless its own quotes or brackets don't match. What is left at the end of the
    file, or after the list, comes as a last element for the reader to refuse.
    """
    row, depth, quoted, skipped = 1, 0, False, 0
    element = _Buffer()
    while chunk := stream.read(CHUNK_BYTES):
        begin = 0
        for match in _STRUCTURE.finditer(chunk):
            at, char = match.start(), match[0]
            if at < skipped:  # the byte after a backslash
                continue
            if quoted:
                quoted = char != b'"'
                skipped = at + 2 if char == b"\\" else skipped
            elif char == b'"':
                quoted = True
            elif char in b"[{":
                depth += 1
                begin = at + 1 if depth == 1 else begin
            elif depth == 1 and char in b",]}":
                element.add(chunk[begin:at])
                if char == b"," or not element.blank:
                    yield row, element.take()
                    row += 1
                begin = at + 1
                depth = 1 if char == b"," else 0
            elif depth > 1 and char in b"]}":
                depth -= 1
        skipped = max(skipped - len(chunk), 0)
        element.add(chunk[begin:])
    if not element.blank:
        yield row, element.take()


@dataclass(slots=True)
class _Buffer:
    """The bytes of one element, thrown away once they are too many."""

    data: bytearray = field(default_factory=bytearray)
    too_long: bool = False

    def add(self, data: bytes) -> None:
        self.too_long = self.too_long or len(self.data) + len(data) > MAX_ROW_BYTES
        if self.too_long:
            self.data.clear()
        else:
            self.data += data

    @property
    def blank(self) -> bool:
        return not self.too_long and not self.data.strip()

    def take(self) -> bytes | None:
        taken = None if self.too_long else bytes(self.data)
        self.data.clear()
        self.too_long = False
        return taken
