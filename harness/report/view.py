"""Figures and differences as text with a tone: made once, shown by all writers of the report, so that they agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.evaluation.results import ModelComparison, Results
from harness.metrics.figure import Better, Figure
from harness.metrics.speedup import NOTABLE
from harness.report import words

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure. `tone` is "better" or "worse" where a difference from the base is shown, else "".

    `against` is the difference from the base where `main` is not itself one; the tone is then its tone.
    """

    main: str
    interval: str = ""  # 95%
    n: str = ""
    note: str = ""
    tone: str = ""
    against: str = ""
    value: float | None = None  # what the cell is sorted by; None is sorted last


@dataclass(frozen=True, slots=True)
class Headline:
    """One model in one sentence and one number."""

    model: str
    big: str
    caption: str
    sentence: str
    correct: str  # what became of pass@k
    tone: str


def cell(figure: Figure, show: Callable[[float], str], *, note: str = "", tone: str = "") -> Cell:
    """A figure as text. A missing value is a dash with its reason."""
    if figure.value is None:
        return Cell(words.DASH, note=figure.reason)
    return Cell(show(figure.value), interval_text(figure, show), words.some(figure.n, figure.of), note, tone)


def interval_text(figure: Figure, show: Callable[[float], str]) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"[{show(figure.low)}, {show(figure.high)}]"


def leaves_out(figure: Figure, null: float) -> bool:
    """Whether the 95% interval leaves out `null`, the value that means "no difference"."""
    return figure.low is not None and figure.high is not None and not figure.low <= null <= figure.high


def tone_of(figure: Figure, null: float) -> str:
    """better or worse where the interval leaves out "no difference", else nothing."""
    if figure.value is None or not leaves_out(figure, null) or figure.better is Better.NEITHER:
        return ""
    return "better" if (figure.value > null) == (figure.better is Better.UP) else "worse"


def speed_tone(comparison: ModelComparison) -> str:
    """As `tone_of`, and the sign-flip test must agree after Holm."""
    p = comparison.speedup.p_holm
    return tone_of(comparison.speedup.figure, 1.0) if p is not None and p < ALPHA else ""


def headlines(results: Results) -> list[Headline]:
    """One per model that is compared with the base."""
    return [_headline(comparison, results.ks) for comparison in results.comparisons]


def _headline(comparison: ModelComparison, ks: Sequence[int]) -> Headline:
    speed, tone = comparison.speedup.figure, speed_tone(comparison)
    correct = _correctness(comparison, ks)
    if speed.value is None:
        sentence = f"No speed can be compared: {speed.reason}."
        return Headline(comparison.model, words.DASH, "", sentence, correct, "")
    on = f"on the {words.some(speed.n, 'problems')} that both solve"
    if tone:
        change = f"{abs(100 * (1 - 1 / speed.value)):.0f}% {'less' if speed.value > 1 else 'more'} run time"
        sentence = f"Its correct code takes {change} than {comparison.base}'s, {on}."
    else:
        sentence = f"No difference in run time from {comparison.base} is shown, {on}."
        if leaves_out(speed, 1.0):
            sentence += f" The interval leaves out 1{words.TIMES}, but the sign-flip test does not agree."
    caption = " \u00b7 ".join(
        part
        for part in (
            f"95% {interval_text(speed, words.times)}" if speed.low is not None else speed.reason,
            words.probability(comparison.speedup.p_holm),
        )
        if part
    )
    return Headline(comparison.model, words.times(speed.value), caption, sentence, correct, tone)


def _correctness(comparison: ModelComparison, ks: Sequence[int]) -> str:
    known = [k for k in ks if comparison.pass_at_k[str(k)].value is not None]
    if not known:
        return ""
    figure = comparison.pass_at_k[str(known[0])]
    assert figure.value is not None
    shown = {"better": "", "worse": ""}.get(tone_of(figure, 0.0), ", no difference shown")
    interval = f" {interval_text(figure, words.points)}" if figure.low is not None else ""
    return f"pass@{known[0]} {words.points(figure.value)} points{interval}{shown}."


def with_difference(made: Cell, figure: Figure, null: float, show: Callable[[float], str], unit: str) -> Cell:
    """The cell with its paired difference from the base; that difference's n is told where it is another one."""
    if figure.value is None:
        return made
    n = words.some(figure.n, figure.of)
    parts = (show(figure.value) + unit, interval_text(figure, show), f"on {n}" if n != made.n else "")
    return replace(made, against=" ".join(part for part in parts if part), tone=tone_of(figure, null))


def ratio_cell(ratio: float | None) -> Cell:
    """A speed-up of one problem, toned from 1.10 on in either direction; empty where there is none."""
    if ratio is None:
        return Cell("")
    edge = math.log(NOTABLE) - 1e-12
    tone = "better" if math.log(ratio) >= edge else "worse" if math.log(ratio) <= -edge else ""
    return Cell(words.times(ratio), tone=tone, value=ratio)
