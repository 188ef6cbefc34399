"""Where a function's body is over in text that a model is still writing.

A small scanner over Python's line structure, tolerant of unfinished and broken code. It follows strings, comments,
brackets and backslash continuations, so that only the start of a real line can end a function. Nothing is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_MARK = re.compile(
    r"""(?P<comment>\#[^\r\n]*) | \\(?P<joined>\r\n|\r|\n) | (?P<newline>\r\n|\r|\n)
      | (?P<quote>'{3}|"{3}|'|") | (?P<fence>`{3}) | (?P<open>[(\[{]) | (?P<close>[)\]}])""",
    re.VERBOSE,
)
# From within a string to its end. Possessive: an unfinished string is given up in linear time.
_STRING_REST = {
    '"': re.compile(r'(?:[^"\\\r\n]++|\\(?:\r\n|[\s\S]))*+(?:"|(?=[\r\n]))'),
    "'": re.compile(r"(?:[^'\\\r\n]++|\\(?:\r\n|[\s\S]))*+(?:'|(?=[\r\n]))"),
    '"""': re.compile(r'(?:[^"\\]++|\\[\s\S]|"(?!""))*+"""'),
    "'''": re.compile(r"(?:[^'\\]++|\\[\s\S]|'(?!''))*+'''"),
}
_BLANKS = re.compile(r"[ \t\f]*")
_OPENS_FUNCTION = re.compile(r"(?:async[ \t]+def|def|class)[ \t]")
# No valid expression has one of these first on a line, so inside brackets they mean that a bracket was never closed.
_STATEMENT = re.compile(r"(?:def|class|import|while|with|assert|del|raise|return|global)[ \t]")


@dataclass(frozen=True, slots=True)
class State:
    """What the scanner knows between two pieces of text. The default is the start of a file."""

    line_start: bool = True  # the next character is the first of a physical line, outside a string and not joined on
    depth: int = 0  # open brackets
    quote: str = ""  # the quote of the string that is open
    in_function: bool = False  # the last statement at column 0 was a def or class
    indent: str = ""  # white space before the last statement


@dataclass(frozen=True, slots=True)
class _Line:
    """A physical line that starts outside a string and is not joined to the one before."""

    start: int
    state: State  # before the line
    fence: bool = False  # not a line: a code fence, which is nowhere valid outside strings and comments


def scan(text: str, state: State = State()) -> State:
    """The state after `text`. Cutting `text` within a quote mark or line end is not seen when scanned in pieces."""
    for line in _lines(text, state):
        state = line.state
    return state


def function_end(text: str, before: State = State(), *, final: bool = False) -> int | None:
    """Index in `text` at which the function that it continues is over, or None if that can't be told yet.

    text: what the model wrote so far. before: the state after the program text that `text` continues.
    final: no more text will come, so comment lines at column 0 at the very end belong to what would have followed.

    A function is over at the first line at column 0 that is code outside strings and brackets, or at a code fence
    anywhere; comment lines at column 0 right before it go with it. If `before` is not inside a function, lines at
    column 0 up to and including the first def are let through. Cutting there and asking again gives None.
    """
    comment: int | None = None
    for line in _lines(text, before):
        here = text[line.start : line.start + 1]
        if line.fence:
            return line.start if comment is None else comment
        if not here or here in "\r\n":
            continue
        if here in " \t\f":
            if not _is_blank(text, line.start):
                comment = None
        elif line.state.depth:
            if _STATEMENT.match(text, line.start):
                return line.start
        elif line.state.in_function:
            comment = line.start if comment is None else comment
            if here != "#":
                return comment
    return comment if final else None


def _is_blank(text: str, start: int) -> bool:
    """Whether the line has only white space so far."""
    match = _BLANKS.match(text, start)
    assert match
    return text[match.end() : match.end() + 1] in ("", "\r", "\n")


def _lines(text: str, state: State) -> Iterator[_Line]:
    """The lines of `text` that start outside strings, then one last item for the end of the text (start = len(text)).

    The last item's state has `line_start` set only if the text ends right after a line end.
    """
    position = 0
    if state.quote:
        position, state = _finish_string(text, position, state)
    elif state.line_start and text:
        yield _Line(0, state)
        state = _after_line_start(text, 0, state)
    while mark := _MARK.search(text, position):
        position = mark.end()
        if mark["quote"]:
            position, state = _finish_string(text, position, replace(state, quote=mark["quote"]))
        elif mark["fence"]:
            yield _Line(mark.start(), state, fence=True)
        elif mark["open"]:
            state = replace(state, depth=state.depth + 1)
        elif mark["close"]:
            state = replace(state, depth=max(0, state.depth - 1))
        elif mark["newline"]:
            state = replace(state, line_start=True)
            if position < len(text):
                yield _Line(position, state)
                state = _after_line_start(text, position, state)
    yield _Line(len(text), state)


def _after_line_start(text: str, start: int, state: State) -> State:
    """The state once the line at `start` has begun: is it a statement, and does it open a def?"""
    state = replace(state, line_start=False)
    match = _BLANKS.match(text, start)
    assert match
    if state.depth or text[match.end() : match.end() + 1] in ("", "\r", "\n", "#"):
        return state
    indent = match[0]
    if indent:
        return replace(state, indent=indent)
    if text[start] == "@":
        return replace(state, indent="", in_function=False)
    return replace(state, indent="", in_function=_OPENS_FUNCTION.match(text, start) is not None)


def _finish_string(text: str, position: int, state: State) -> tuple[int, State]:
    """Position and state after the open string, which may not end in `text`. A plain string ends at its line's end."""
    rest = _STRING_REST[state.quote].match(text, position)
    if rest is None:
        return len(text), replace(state, line_start=False)
    return rest.end(), replace(state, quote="", line_start=False)
