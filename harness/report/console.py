"""The table of results for a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from harness.evaluation.results import Results
from harness.report import view

_STYLES = {"better": "bold green", "worse": "bold red", "": "bold"}


def console_table(results: Results) -> Table:
    """Rows are figures, columns are models; each cell has the value, its 95% interval and what it rests on."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{len(results.problems):,} problems, against {results.base}" if results.comparisons else None,
        caption="[..] 95% interval over problems. \u2191 higher is better, \u2193 lower is better.",
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
    )
    table.add_column("")
    for model in results.models:
        table.add_column(Text(model.name))
    group = ""
    for line in view.lines(results):
        if group and line.group != group:
            table.add_section()
        group = line.group
        label = Text(line.label)
        label.append(f" {line.arrow}", style="dim")
        table.add_row(label, *(_cell_text(cell) for cell in line.cells))
    return table


def _cell_text(cell: view.Cell) -> Text:
    main_tone = "" if cell.against else cell.tone
    text = Text(cell.main, style="dim" if cell.main == "reference" else _STYLES[main_tone])
    if cell.interval:
        text.append(f" {cell.interval}", style="not bold default")
    if cell.against:
        text.append(f"\n{cell.against}", style=_STYLES[cell.tone] if cell.tone else "not bold default")
    for small in (f"n = {cell.n}" if cell.n else "", cell.note):
        if small:
            text.append(f"\n{small}", style="not bold dim default")
    return text
