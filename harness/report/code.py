"""Code of models as it is shown: harmless, not endless, and with what differs between two solutions marked."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from difflib import SequenceMatcher

from harness.report import words

MAX_CHARACTERS, MAX_LINES = 4_000, 150  # of one piece of code shown; they also bound the cost of comparing two


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One line of a solution. `mark`: "+" only the quick one has it, "-" only the slow one, "" both."""

    text: str
    mark: str


def shown(text: str) -> str:
    """Printable, without outer blank lines and common indent, and cut where it gets long."""
    code = textwrap.dedent(words.visible(text)).strip("\n").rstrip()
    kept = "\n".join(code[:MAX_CHARACTERS].split("\n")[:MAX_LINES])
    return code if kept == code else f"{kept}\n[{len(code) - len(kept):,} more characters]"


def side_by_side(quick: str, slow: str) -> tuple[list[CodeLine], list[CodeLine]]:
    """The lines of both as they are shown, each marked where the other lacks it."""
    left, right = shown(quick).split("\n"), shown(slow).split("\n")
    matcher = SequenceMatcher(None, [line.strip() for line in left], [line.strip() for line in right], autojunk=False)
    kept_left: set[int] = set()
    kept_right: set[int] = set()
    for block in matcher.get_matching_blocks():
        kept_left.update(range(block.a, block.a + block.size))
        kept_right.update(range(block.b, block.b + block.size))
    return (
        [CodeLine(line, "" if place in kept_left else "+") for place, line in enumerate(left)],
        [CodeLine(line, "" if place in kept_right else "-") for place, line in enumerate(right)],
    )


def fence(text: str) -> str:
    """A Markdown code block whose fence is longer than any run of backticks inside."""
    code, ticks = shown(text), "```"
    while ticks in code:
        ticks += "`"
    return f"{ticks}python\n{code}\n{ticks}"
