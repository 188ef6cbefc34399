"""Small result tables on standard output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_counts(title: str, rows: Mapping[str, Any]) -> None:
    """Names and values, one a line."""
    console = Console()
    console.print(Text(title, style="bold"))  # not the table's own title, which is folded to the table's width
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows.items():
        table.add_row(Text(name), Text(f"{value:,}" if isinstance(value, int) else str(value)))
    console.print(table)


def pairs_of_words(counts: Mapping[str, int]) -> str:
    """{"a": 2, "b": 0} → "a 2": only what there is."""
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items() if count)


def plain(value: Any) -> str:
    """A value of a nested mapping on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items()) or "none"
    return str(value)
