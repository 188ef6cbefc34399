"""Rows of local data: JSONL files (also gzipped) and folders saved by Hugging Face `datasets`."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from harness.errors import DataError
from harness.problems.checks import DEFAULT_SPLIT, RawRow, split_of

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


def jsonl_rows(path: Path) -> Iterator[RawRow]:
    """Each line of a JSONL file as a row; empty lines are passed over. Raises DataError naming file and line."""
    number = 0
    try:
        with _open(path) as stream:
            for number, line in enumerate(stream, start=1):
                content = line.removeprefix(BOM) if number == 1 else line
                if content.strip():
                    where = f"{path}:{number}"
                    values = _parse(content, where)
                    yield RawRow(values, split_of(values, where), where)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", where=f"{path}:{number + 1}") from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        zipped = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return cast(IO[bytes], gzip.open(path, "rb")) if zipped else path.open("rb")


def _parse(line: bytes, where: str) -> dict[str, object]:
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"not a line of JSON: {error}", where=where, fix="the file should hold one JSON object per line, in UTF-8"
        ) from error
    if not isinstance(values, dict):
        raise DataError(f"a JSON {type(values).__name__}, not an object", where=where)
    return values


def saved_splits(folder: Path) -> dict[str, list[RawRow]]:
    """The splits of a folder written by `save_to_disk`."""
    # Imported here because it takes more than a second, and most commands never need it.
    import datasets  # noqa: PLC0415

    try:
        loaded = datasets.load_from_disk(str(folder))
        return dataset_splits(loaded, str(folder))
    except DataError:
        raise
    except Exception as error:  # datasets lets pyarrow's, fsspec's and its own errors through
        raise DataError(
            f"not a folder saved by datasets' save_to_disk ({type(error).__name__}: {error})",
            where=str(folder),
            fix="save it with save_to_disk, or give a JSONL file",
        ) from error


def dataset_splits(loaded: Dataset | DatasetDict, name: str) -> dict[str, list[RawRow]]:
    """The rows of each split. A single Dataset's rows go by their `split` column, else by the split it was saved as."""
    if isinstance(loaded, dict):
        return {
            str(split): [
                RawRow(row, str(split), f"{name}[{str(split)!r}][{index}]") for index, row in enumerate(dataset)
            ]
            for split, dataset in loaded.items()
        }
    own = str(loaded.split or DEFAULT_SPLIT)
    splits: dict[str, list[RawRow]] = {}
    for index, row in enumerate(loaded):
        where = f"{name}[{index}]"
        split = split_of(row, where) if row.get("split") is not None else own
        splits.setdefault(split, []).append(RawRow(row, split, where))
    return splits
