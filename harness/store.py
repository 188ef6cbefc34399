"""Append-only JSONL files and the manifest of a run folder: what makes every stage resumable.

A row is one line, written whole at once, so a killed run loses nothing that was finished; a half-written last line is
dropped when the file is opened again. A run folder remembers the settings it was made with and refuses others, and is
worked on by one command at a time. Whatever can't be written is told as UserError, with the file, and what was there
before stays.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import DataError, UserError
from harness.records import SCHEMA_VERSION
from harness.storage_errors import storage_errors

Row = TypeVar("Row")


_ADAPTERS: dict[object, TypeAdapter[Any]] = {}  # building one costs far more than a row


def _adapter(row_type: type[Row]) -> TypeAdapter[Row]:
    if row_type not in _ADAPTERS:
        _ADAPTERS[row_type] = TypeAdapter(row_type)
    return _ADAPTERS[row_type]


def parse_row(row_type: type[Row], line: bytes | str, *, where: str) -> Row:
    """One JSON line as a record. Raises DataError that names the column (`where` names file and row)."""
    try:
        return _validate(row_type, line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        column = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"column {column!r}: {first['msg']}" if column else str(first["msg"]),
            where=where,
            fix=f"each row is a JSON object with the fields of {row_type.__name__} (docs/results.md); "
            "a line that a power cut spoilt may be deleted: it is made again",
        ) from error


def _validate(row_type: type[Row], line: bytes | str) -> Row:
    """pydantic's JSON reader is the fast way but refuses the escapes of lone surrogates, which `encode_row` writes."""
    try:
        return _adapter(row_type).validate_json(line)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise error from None
        return _adapter(row_type).validate_python(value)


def read_rows(path: Path, row_type: type[Row]) -> Iterator[Row]:
    """The rows of a finished or interrupted file, in order; an unfinished last line is left out."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            if line.strip():
                yield parse_row(row_type, line, where=f"{path}:{number}")


def encode_row(row: Any) -> str:
    """A record as one JSON line without its line end. Lone surrogates survive as escapes (`ensure_ascii`)."""
    return json.dumps(_plain(row), ensure_ascii=True, allow_nan=False)


_SCALARS = frozenset({str, int, float, bool, type(None)})
_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def _plain(value: Any) -> Any:
    """Records as dicts, all through. As dataclasses.asdict, which copies every leaf and takes three times as long."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind not in _FIELD_NAMES and is_dataclass(value):
        _FIELD_NAMES[kind] = tuple(part.name for part in fields(value))
    if kind in _FIELD_NAMES:
        return {name: _plain(getattr(value, name)) for name in _FIELD_NAMES[kind]}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


class AppendFile:
    """A JSONL file that rows are added to. Opening drops a half-written last line.

    Not buffered: a row is in the system's hands when `append` returns, and the disk's after `close`.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if overwrite:
                path.unlink(missing_ok=True)
            self._stream = path.open("a+b", buffering=0)
            self._size = self._drop_unfinished_line()

    def _drop_unfinished_line(self) -> int:
        """The size of what is left. Zeros go, too: a power cut leaves them where a file had grown and its data had not
        come to the disk."""
        end = self._stream.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - 65536)
            newline = os.pread(self._stream.fileno(), position - start, start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position != end:
            self._stream.truncate(position)
        return position

    def append(self, row: Any) -> None:
        """Raises UserError where there is no room; the file then ends with the row before."""
        line = row_line(row)
        try:
            with storage_errors(self.path):
                _write_all(self._stream.fileno(), line)
        except BaseException:
            with suppress(OSError):
                self._stream.truncate(self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        with self._stream, storage_errors(self.path):
            os.fsync(self._stream.fileno())

    def __enter__(self) -> AppendFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_all(descriptor: int, data: bytes) -> None:
    """A disk that fills up, and a limit, take a part first, and refuse the next."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose file is there, whole, when the block ends without an error; else what was there before stays.

    Written beside its place under a name that depends on nothing else, synced, then renamed. So what a killed process
    left is written over by the next. Raises UserError while another process writes the same file.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = temporary.open("ab")  # not "wb", which would empty what another process is just writing
    try:
        held(stream.fileno(), temporary, "another command is writing this file", path)
        try:
            with storage_errors(path):
                stream.truncate(0)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    finally:
        with suppress(OSError):  # there is no room for what is still buffered, and the file is gone
            stream.close()


def held(descriptor: int, place: Path, in_use: str, path: Path) -> None:
    """Lock a file or folder that was opened at `place` until it is closed. Raises UserError (`in_use`, `path`) if it
    is locked, or no longer at its place: whoever had it has just finished."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(in_use, where=str(path), fix="wait for it, or end it") from error
    except OSError as error:
        fix = "mount it with locks (Lustre: -o flock; NFS: version 4), or give another --root"
        raise UserError(f"files can't be locked here ({error.strerror})", where=str(path), fix=fix) from error
    if not place.exists() or not os.path.samestat(os.fstat(descriptor), place.stat()):
        raise UserError(in_use, where=str(path), fix="wait for it, or end it")


def sync_folder(folder: Path) -> None:
    """Have the folder's own entries, such as a new name of a file, on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network drives know of no such thing
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: str | bytes) -> None:
    """Whole file or no file."""
    with atomic_file(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


def row_line(row: Any) -> bytes:
    """A record as it stands in a JSONL file, line end included."""
    return encode_row(row).encode("ascii") + b"\n"


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """A whole JSONL file at once (for stages whose output is remade, not resumed), one row in memory at a time."""
    with atomic_file(path) as stream:
        for row in rows:
            stream.write(row_line(row))


def read_json(path: Path, *, fix: str = "") -> dict[str, Any]:
    """Raises DataError, with that fix, for a file that can't be read as a JSON object."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(str(error), where=str(path), fix=fix) from error
    if not isinstance(value, dict):
        raise DataError("not a JSON object", where=str(path), fix=fix)
    return value


_SPOILT_MANIFEST = (
    "delete this file and run the same command with the same settings again (`import`: with --overwrite): it is "
    "written anew, and rows stay; of a model, delete the folder"
)


class Manifest:
    """`manifest.json`: per stage, the settings that its rows depend on, and facts about the machine and the run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "manifest.json"
        self._data: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "stages": {}}
        if self.path.exists():
            self._data = read_json(self.path, fix=_SPOILT_MANIFEST)
        self._data.setdefault("stages", {})
        if self._data.get("schema_version") != SCHEMA_VERSION:
            raise DataError(
                f"schema version {self._data.get('schema_version')}, this program reads {SCHEMA_VERSION}",
                where=str(self.path),
                fix="use another --save_path, or --overwrite",
            )

    def stage(self, name: str) -> dict[str, Any]:
        """What is recorded of a stage: {"settings": …, "facts": …}; empty if it never ran."""
        recorded = self._data["stages"].get(name, {})
        assert isinstance(recorded, dict)
        return recorded

    @property
    def names(self) -> list[str]:
        """The stages that ran."""
        return sorted(self._data["stages"])

    def begin(self, name: str, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Record a stage's settings, or refuse if rows made with other settings are there."""
        wanted = json.loads(json.dumps(settings))
        recorded = self.stage(name).get("settings")
        if recorded is not None and recorded != wanted and not overwrite:
            differing = sorted(k for k in {*recorded, *wanted} if recorded.get(k) != wanted.get(k))
            listing = ", ".join(f"{k}: {recorded.get(k)!r} there, {wanted.get(k)!r} now" for k in differing)
            raise UserError(
                f"this folder's {name} was made with other settings ({listing})",
                where=str(self.path.parent),
                fix="give the same settings, another --save_path, or --overwrite",
            )
        if recorded != wanted:
            self._data["stages"][name] = {"settings": wanted, "facts": {}}
            self._save()

    def note(self, name: str, **facts: Any) -> None:
        """Add facts to a stage's record (host fingerprint, counts, warnings)."""
        self._data["stages"].setdefault(name, {"settings": {}, "facts": {}})["facts"].update(facts)
        self._save()

    def _save(self) -> None:
        write_atomically(self.path, json.dumps(self._data, indent=2, sort_keys=True) + "\n")


_LOCKED: ContextVar[frozenset[Path]] = ContextVar("_LOCKED", default=frozenset())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder for one command; a second command on the same folder is refused at once.

    Within such a block it may be asked for again: a command of several stages holds the folder from its first to its
    last. Half-written files that a killed command left are removed.
    """
    place = folder.resolve()
    if place in _LOCKED.get():
        yield
        return
    path = folder / ".lock"
    with storage_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        stream = path.open("w")
    with stream:
        held(stream.fileno(), path, "another command is working on this folder", folder)
        token = _LOCKED.set(_LOCKED.get() | {place})
        try:
            with storage_errors(path):
                for left in folder.glob(".*.tmp"):
                    if left.is_file():
                        left.unlink(missing_ok=True)
            yield
        finally:
            _LOCKED.reset(token)
