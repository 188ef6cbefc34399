"""What a column of a foreign row must hold; anything else refuses the row. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.exchange.rows import RejectError

Number = int | float


def only_columns(value: Mapping[str, Any], columns: Sequence[str]) -> None:
    """Refuse rows of another shape: what they say beyond these columns would be lost."""
    for column in columns:
        if column not in value:
            raise RejectError(f"no column {column!r}")
    if unknown := next((column for column in value if column not in columns), None):
        raise RejectError(f"unknown column {unknown[:80]!r}")


def text(value: Mapping[str, Any], column: str) -> str:
    found = value[column]
    if not isinstance(found, str):
        raise RejectError(f"column {column!r}: not text")
    return found


def number(value: Mapping[str, Any], column: str, least: float, most: float) -> Number:
    """The number as it stands; not NaN, and in the range."""
    found = value[column]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise RejectError(f"column {column!r}: not a number")
    if not least <= found <= most:  # NaN is in no range
        raise RejectError(f"column {column!r}: not from {least:g} to {most:g}")
    return found
