"""Tables for a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from harness.evaluation.results import Results
from harness.report import figures, tables, words
from harness.report.tables import Table
from harness.report.view import Cell

_STYLES = {"better": "bold green", "worse": "bold red", "": "bold"}


def console_table(results: Results) -> RichTable:
    """Rows are figures, columns are models; each cell has the value, its 95% interval and what it rests on."""
    title = f"{tables.judged_problems(results)}, against {results.base}" if results.comparisons else ""
    return terminal_table(figures.results_table(results), title)


def console_regressions(results: Results) -> RichTable | None:
    """What got worse, the worst first; None where nothing did."""
    table = tables.regressions_table(results)
    return terminal_table(table, table.caption) if table is not None and table.rows else None


def terminal_table(table: Table, title: str) -> RichTable:
    drawn = RichTable(
        box=box.SIMPLE_HEAD,
        title=Text(words.one_line(title)) if title else None,
        caption=Text(table.note) if table.note else None,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
    )
    drawn.add_column(table.corner)
    for head in table.heads:
        drawn.add_column(Text(words.one_line(head.label)))
    for place, (_, rows) in enumerate(table.groups):
        if place:
            drawn.add_section()
        for row in rows:
            label = Text(words.one_line(row.label))
            label.append(f" {row.arrow}" if row.arrow else "", style="dim")
            drawn.add_row(label, *(_cell_text(cell) for cell in row.cells))
    return drawn


def _cell_text(cell: Cell) -> Text:
    main_tone = "" if cell.against else cell.tone
    text = Text(words.one_line(cell.main), style="dim" if cell.main == "reference" else _STYLES[main_tone])
    if cell.interval:
        text.append(f" {cell.interval}", style="not bold default")
    if cell.against:
        text.append(f"\n{cell.against}", style=_STYLES[cell.tone] if cell.tone else "not bold default")
    for small in (f"n = {cell.n}" if cell.n else "", words.one_line(cell.note)):
        if small:
            text.append(f"\n{small}", style="not bold dim default")
    return text
