"""Numbers as a person reads them: the one place where figures become text, for HTML, Markdown and terminal alike."""

from __future__ import annotations

from harness.metrics.figure import Better

TIMES, MINUS, DASH = "\u00d7", "\u2212", "\u2013"  # named: they look like ASCII characters and are not
ARROWS = {Better.UP: "\u2191", Better.DOWN: "\u2193", Better.NEITHER: ""}
ARROW_WORDS = {Better.UP: "higher is better", Better.DOWN: "lower is better", Better.NEITHER: ""}
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "\u00b5s"), (1.0, "ns"))


def percent(value: float) -> str:
    """A share: 0.4431 -> 44.3%."""
    return f"{100 * value:.1f}%"


def points(value: float) -> str:
    """A difference of shares, in percentage points with its sign: 0.0233 -> +2.3."""
    return signed(100 * value, 1)


def signed(value: float, digits: int) -> str:
    """A sign that lines up with digits; what rounds to zero has none."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0.0:
        return text
    return (MINUS if value < 0 else "+") + text


def times(value: float) -> str:
    """A ratio: 1.304 -> 1.30x (with the real sign). Three significant digits below 0.1."""
    return f"{value:.2f}{TIMES}" if value >= 0.1 else f"{value:.3g}{TIMES}"


def count(value: float) -> str:
    """A length: one decimal below 100, none above."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def duration(nanoseconds: float) -> str:
    """Three significant digits with the unit that fits: 1234.5 -> 1.23 µs."""
    for size, unit in _UNITS:
        if nanoseconds >= size * 0.9995 or unit == "ns":
            value = nanoseconds / size
            digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f} {unit}"
    raise AssertionError("the last unit always fits")


def signed_duration(nanoseconds: float) -> str:
    """A difference of times with its sign: 1234.5 -> +1.23 µs."""
    return ("" if nanoseconds == 0 else MINUS if nanoseconds < 0 else "+") + duration(abs(nanoseconds))


def share(value: float) -> str:
    """A score between 0 and 1, as the papers write it: 0.4544 -> 0.454."""
    return f"{value:.3f}"


def size(count: float) -> str:
    """Bytes of memory: 11000000 -> 10.5 MiB."""
    return f"{count / 2**20:.1f} MiB"


def probability(p: float | None) -> str:
    """p = 0.031; p < 0.001."""
    if p is None:
        return f"p {DASH}"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def visible(text: str) -> str:
    """Text that shows as it is: control, bidirectional and other unseen characters become a replacement character.

    Names and code come from models: a right-to-left override would let one read as another, an escape code would work
    the terminal.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """`visible`, without line breaks: for a cell of a table."""
    return " ".join(visible(text).split())


def some(number: int, thing: str) -> str:
    """1 problem, 2 problems, 1,200 problems. `thing` in the plural."""
    return f"{number:,} {thing.removesuffix('s') if number == 1 else thing}"
