"""A `Table` as Markdown and as LaTeX. Text in it may come from models: it neither ends a cell nor starts markup."""

from __future__ import annotations

import re

from harness.report import words
from harness.report.tables import Row, Table
from harness.report.view import Cell

_MARKDOWN = {ord(c): f"\\{c}" for c in "\\`*_[]|#~$!"} | {ord("<"): "&lt;", ord(">"): "&gt;", ord("&"): "&amp;"}
# Brackets are braced, for one at the start of a row would be read as the argument of the \\ before it.
_LATEX = {
    ord(c): text
    for c, text in {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
        "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
        "[": "{[}", "]": "{]}", words.TIMES: r"$\times$", words.MINUS: "$-$", words.DASH: r"\textendash{}",
        "\u00b5": r"\textmu{}", "\u2191": r"$\uparrow$", "\u2193": r"$\downarrow$", "\u00b7": r"$\cdot$",
        "\u2265": r"$\geq$", "\u2264": r"$\leq$", "\u2026": r"\ldots{}",
    }.items()
}  # fmt: skip


def markdown_text(text: str) -> str:
    """One line that neither ends a table cell nor starts markup or HTML."""
    return words.one_line(text).translate(_MARKDOWN)


def latex_text(text: str) -> str:
    """One line of plain text for LaTeX. What pdfTeX's fonts lack becomes a question mark."""
    escaped = re.sub("-(?=-)", "-{}", words.one_line(text).translate(_LATEX))  # no ligature: -- is not a dash
    return "".join(c if c.isascii() or "\u00c0" <= c <= "\u017e" else "?" for c in escaped)


def markdown_table(table: Table) -> str:
    """A pipe table. Where columns have a heading over them, it stands before theirs."""
    over = [f"{heading.label}: " for heading in table.over for _ in range(heading.columns)] or [""] * len(table.heads)
    heads = [markdown_text(above + head.label) for above, head in zip(over, table.heads, strict=True)]
    lines = [_pipes([markdown_text(table.corner), *heads]), _pipes(["---", *("---" for _ in heads)])]
    lines += [_pipes([_label(row), *(markdown_text(_flat(cell)) for cell in row.cells)]) for row in table.rows]
    return "\n".join(lines)


def _pipes(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(row: Row) -> str:
    note = f" ({row.note})" if row.note else ""
    return f"{markdown_text(row.label + note)} {row.arrow}".rstrip()


def _flat(cell: Cell) -> str:
    """All of a cell on one line."""
    text = " ".join(part for part in (cell.main, cell.interval) if part)
    text += f", n = {cell.n}" if cell.n else ""
    text += f" ({cell.note})" if cell.note else ""
    return f"{text}; {cell.against}" if cell.against else text


def latex_table(table: Table) -> str:
    r"""A `longtable` in the manner of booktabs, with \label{tab:<name>}; needs both packages.

    What a cell has beside its figure stands below it, smaller, in a line of its own.
    """
    columns = len(table.heads) + 1
    alignment = "l" + "".join("r" if head.numeric else "l" for head in table.heads)
    lines = [
        rf"\begin{{longtable}}{{@{{}}{alignment}@{{}}}}",
        rf"\caption{{{latex_text(table.caption)}. {latex_text(table.note)}}}\label{{tab:{table.name}}}\\",
        r"\toprule",
        *_latex_over(table),
        _latex_line([latex_text(table.corner), *(latex_text(head.label) for head in table.heads)]),
        r"\midrule",
        r"\endhead",
    ]
    for place, (_, rows) in enumerate(table.groups):
        if place:
            lines.append(r"\midrule")
        for row in rows:
            lines.append(_latex_line([_latex_label(row), *(_latex_main(cell) for cell in row.cells)]))
            small = [_latex_small(cell) for cell in row.cells]
            if any(small):
                lines.append(_latex_line(["", *small]))
    if not table.rows:
        lines.append(rf"\multicolumn{{{columns}}}{{l}}{{none}}\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}"])


def _latex_over(table: Table) -> list[str]:
    if not table.over:
        return []
    cells, rules, column = [""], [], 2
    for heading in table.over:
        cells.append(rf"\multicolumn{{{heading.columns}}}{{c}}{{{latex_text(heading.label)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + heading.columns - 1}}}")
        column += heading.columns
    return [_latex_line(cells), "".join(rules)]


def _latex_line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_label(row: Row) -> str:
    return " ".join(latex_text(part) for part in (row.label, row.arrow, row.note) if part)


def _latex_main(cell: Cell) -> str:
    strong = rf"\textbf{{{latex_text(cell.main)}}}" if cell.tone and not cell.against else latex_text(cell.main)
    return rf"{strong} {{\footnotesize {latex_text(cell.interval)}}}" if cell.interval else strong


def _latex_small(cell: Cell) -> str:
    parts = (cell.against, f"n = {cell.n}" if cell.n else "", cell.note)
    text = latex_text("; ".join(part for part in parts if part))
    return rf"{{\footnotesize {text}}}" if text else ""
