"""Tables once as data, shown on a terminal by rich and in documents as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from tests.benchmarks.figures import Range


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def ranged(value: Range | None, digits: int = 1) -> str:
    """Median, with lowest and highest if there was more than one round."""
    if value is None:
        return "–"
    text = number(value.median, digits)
    return text if value.count == 1 else f"{text} [{number(value.low, digits)}, {number(value.high, digits)}]"


def markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    rule = "|" + "---|" * len(table.columns)
    parts = [f"### {table.title}", "", line(table.columns), rule, *(line(row) for row in table.rows), ""]
    return "\n".join([*parts, table.note, ""] if table.note else parts)


def show(table: Table, console: Console) -> None:
    # As Text: cells hold what model-written code said, and no markup is read from it.
    shown = RichTable(title=Text(table.title), title_justify="left", caption_justify="left")
    shown.caption = Text(table.note) if table.note else None
    for position, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="left" if position == 0 else "right", overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    console.print(shown)
