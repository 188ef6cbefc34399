"""Numbers as a person reads them: the one place where figures become text, for HTML, Markdown and terminal alike."""

from __future__ import annotations

from harness.metrics.figure import Better

TIMES, MINUS, DASH = "\u00d7", "\u2212", "\u2013"  # named: they look like ASCII characters and are not
ARROWS = {Better.UP: "\u2191", Better.DOWN: "\u2193", Better.NEITHER: ""}
ARROW_WORDS = {Better.UP: "higher is better", Better.DOWN: "lower is better", Better.NEITHER: ""}
# What a flag says of the solutions that carry it (docs/results.md, `.flags`).
FLAGS = {
    "results_differ": "give other results when they are timed",
    "judged_dearer": "cost less when they are timed than when they are judged",
    "waits": "wait instead of working",
    "threads": "start threads, whose time is not all seen",
    "children": "start processes, whose time is not all seen",
    "weak": "run in one process with the test",
    "calls_differ": "are called unlike the others",
    "memoises": "remember results, and are timed by the first pass",
    "legacy": "are timed by the published method",
}
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


def plain(value: float, digits: int) -> str:
    """A number with the real minus sign."""
    return f"{value:.{digits}f}".replace("-", MINUS)


def times(value: float) -> str:
    """A ratio: 0.0123, 1.30, 1,234, with the sign behind it."""
    text = f"{value:.3g}" if value < 0.1 else f"{value:.2f}" if value < 99.995 else f"{value:,.0f}"
    return text + TIMES


def power(exponent: float) -> str:
    """Growth as a power of the size: 1.04 -> n^1.0."""
    return f"n^{exponent:.1f}"


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


def round_duration(nanoseconds: float) -> str:
    """A round time, for an axis: 100,000 -> 100 µs."""
    size, unit = next(((size, unit) for size, unit in _UNITS if nanoseconds >= size * 0.9995), _UNITS[-1])
    return f"{nanoseconds / size:g} {unit}"


def magnitude(value: float) -> str:
    """A round number, for an axis: 20,000 -> 20k, 1e6 -> 1M, 1e12 -> 1e12."""
    if value < 1e3 or value >= 1e9:
        return f"{value:g}".replace("e+", "e")
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"


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


def flagged(flag: str, number: int) -> str:
    """A flag with its meaning: 3 wait instead of working (waits). Flags with a reason: 2 failed: TIMEOUT_CPU."""
    kind, _, why = flag.partition(":")
    if why:
        return f"{number} {kind.replace('_', ' ')}: {why}"
    return f"{number} {FLAGS[flag]} ({flag})" if flag in FLAGS else f"{number} {flag}"


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
