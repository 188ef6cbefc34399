"""The results as text in a table: made once, shown by HTML, Markdown and the terminal, so that all three agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from harness.evaluation.results import ModelComparison, ModelResult, Results
from harness.metrics.figure import Better, Figure
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


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table of results: what, which way is better, and a cell per model in the order of `models`."""

    label: str
    better: Better
    cells: list[Cell]
    group: str

    @property
    def arrow(self) -> str:
        return words.ARROWS[self.better]

    @property
    def arrow_words(self) -> str:
        return words.ARROW_WORDS[self.better]


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


def lines(results: Results) -> list[Line]:
    """The table of results. The base's cells in rows of comparisons read "reference"."""
    against = {comparison.model: comparison for comparison in results.comparisons}
    rows: list[Line] = []

    def compared(label: str, better: Better, group: str, make: Callable[[ModelComparison], Cell]) -> None:
        if against:
            cells = [
                make(against[model.name]) if model.name in against else Cell("reference") for model in results.models
            ]
            rows.append(Line(label, better, cells, group))

    def single(label: str, better: Better, group: str, make: Callable[[ModelResult], Cell]) -> None:
        rows.append(Line(label, better, [make(model) for model in results.models], group))

    compared("Matched speed-up", Better.UP, "Speed", _speed_cell)
    compared("%Opt", Better.UP, "Speed", lambda c: cell(c.optimised, words.percent))
    compared("Regressions", Better.DOWN, "Speed", _regressions)
    for k in results.ks:
        single(f"pass@{k}", Better.UP, "Correctness", partial(_pass_cell, k=k, against=against))
    single("Problems solved", Better.UP, "Correctness", _solved)
    single("Code length, characters", Better.DOWN, "Length", partial(_length_cell, against=against))
    single("Tokens written", Better.DOWN, "Length", lambda m: cell(m.model_tokens, words.count))
    single("Cut off at the limit", Better.DOWN, "Length", lambda m: cell(m.truncated, words.percent))
    single("Judged in one process", Better.DOWN, "Quality", lambda m: cell(m.weak_integrity, words.percent))
    single("Samples left out", Better.DOWN, "Quality", _left_out)
    return rows


def _speed_cell(comparison: ModelComparison) -> Cell:
    note = words.probability(comparison.speedup.p_holm)
    if comparison.speedup.untimed:
        note += f"; {words.some(comparison.speedup.untimed, 'problems')} untimed"
    return cell(comparison.speedup.figure, words.times, note=note, tone=speed_tone(comparison))


def _regressions(comparison: ModelComparison) -> Cell:
    speed = comparison.speedup
    if speed.figure.value is None:
        return Cell(words.DASH, note=speed.figure.reason)
    note = words.some(speed.faster, "improvements")
    return Cell(str(speed.slower), n=words.some(speed.figure.n, "problems"), note=note)


def _pass_cell(model: ModelResult, *, k: int, against: Mapping[str, ModelComparison]) -> Cell:
    made = cell(model.pass_at_k[str(k)], words.percent)
    if model.name not in against:
        return made
    return _with_difference(made, against[model.name].pass_at_k[str(k)], 0.0, words.points, " points")


def _length_cell(model: ModelResult, *, against: Mapping[str, ModelComparison]) -> Cell:
    made = cell(model.characters, words.count)
    if model.name not in against:
        return made
    return _with_difference(made, against[model.name].length_ratio, 1.0, words.times, " the base's")


def _with_difference(made: Cell, figure: Figure, null: float, show: Callable[[float], str], unit: str) -> Cell:
    """The cell with its paired difference from the base; that difference's n is told where it is another one."""
    if figure.value is None:
        return made
    n = words.some(figure.n, figure.of)
    parts = (show(figure.value) + unit, interval_text(figure, show), f"n = {n}" if n != made.n else "")
    return replace(made, against=" ".join(part for part in parts if part), tone=tone_of(figure, null))


def _solved(model: ModelResult) -> Cell:
    return Cell(str(model.solved), n=words.some(model.problems, "problems"))


def _left_out(model: ModelResult) -> Cell:
    parts = ((model.internal, "INTERNAL"), (model.unjudged, "not run"))
    note = ", ".join(f"{number} {what}" for number, what in parts if number)
    return Cell(str(model.internal + model.unjudged), n=words.some(model.samples, "samples"), note=note)


@dataclass(frozen=True, slots=True)
class ProblemLine:
    """One problem in the long table. `cells` per model: pass rate, run time and speed-up as text."""

    task_id: str
    cells: list[tuple[str, str, str, str]]  # pass rate, run time, speed-up, tone


def problem_lines(results: Results) -> list[ProblemLine]:
    """All problems, the worst regression of the last model first; problems without a speed-up at the end."""
    last = results.models[-1].name
    order = sorted(
        results.problems,
        key=lambda p: (p.speedup.get(last) is None, p.speedup.get(last) or 0.0, p.task_id),
    )
    made = []
    for problem in order:
        cells = []
        for model in results.models:
            seen, ratio = problem.models[model.name], problem.speedup.get(model.name)
            cells.append(
                (
                    f"{seen.passed}/{seen.judged}",
                    words.DASH if seen.runtime_ns is None else words.duration(seen.runtime_ns),
                    "" if ratio is None else words.times(ratio),
                    "" if ratio is None else _ratio_tone(ratio),
                )
            )
        made.append(ProblemLine(problem.task_id, cells))
    return made


def _ratio_tone(ratio: float) -> str:
    edge = math.log(1.10) - 1e-12
    return "better" if math.log(ratio) >= edge else "worse" if math.log(ratio) <= -edge else ""
