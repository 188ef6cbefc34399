"""The report's tables as data: built once from the results, written as HTML, Markdown, LaTeX and terminal text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from harness.evaluation.efficiency import EfficiencyDifference, HeldOut, HeldOutDifference, ModelEfficiency
from harness.evaluation.results import ModelComparison, ModelResult, ProblemResult, Results
from harness.metrics.figure import Better, Figure
from harness.report import view, words
from harness.report.view import Cell

MAX_REGRESSIONS = 20  # rows of the table of regressions; all are in the table of problems
INTERNAL = "INTERNAL"

# Verdicts as a reader thinks of them (label, colour, verdicts); the exact words are in the table of verdicts.
VERDICT_GROUPS = (
    ("Passed", "v-passed", ("PASSED",)),
    ("Wrong answer", "v-wrong", ("WRONG",)),
    ("Raised an error", "v-error", ("ERROR",)),
    ("Does not compile", "v-syntax", ("SYNTAX",)),
    ("Over a limit", "v-limit", ("TIMEOUT_CPU", "TIMEOUT_WALL", "MEMORY", "OUTPUT")),
    ("Broke off or broke the rules", "v-broke", ("EARLY_EXIT", "SIGNAL", "VIOLATION")),
)


@dataclass(frozen=True, slots=True)
class Head:
    """A column. `model` is the place in `Results.models` of the model that it is about, for its colour."""

    label: str
    model: int | None = None
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Over:
    """A heading over several columns."""

    label: str
    columns: int
    model: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """`label` heads the row; `better` puts an arrow beside it; one cell a column."""

    label: str
    cells: list[Cell]
    better: Better = Better.NEITHER
    note: str = ""  # small, beside the label

    @property
    def arrow(self) -> str:
        return words.ARROWS[self.better]

    @property
    def arrow_words(self) -> str:
        return words.ARROW_WORDS[self.better]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows come in groups that belong together. Every row has as many cells as there are `heads`."""

    name: str
    caption: str
    corner: str  # heads the column of row labels
    heads: list[Head]
    groups: list[tuple[str, list[Row]]]
    over: list[Over]
    note: str = ""

    @property
    def rows(self) -> list[Row]:
        return [row for _, rows in self.groups for row in rows]


def results_table(results: Results) -> Table:
    """The figures, a column a model. The base's cells in rows of comparisons read "reference"."""
    against = {comparison.model: comparison for comparison in results.comparisons}
    groups: dict[str, list[Row]] = {}

    def compared(label: str, better: Better, group: str, make: Callable[[ModelComparison], Cell]) -> None:
        if against:
            cells = [
                make(against[model.name]) if model.name in against else Cell("reference") for model in results.models
            ]
            groups.setdefault(group, []).append(Row(label, cells, better))

    def single(label: str, better: Better, group: str, make: Callable[[ModelResult], Cell]) -> None:
        groups.setdefault(group, []).append(Row(label, [make(model) for model in results.models], better))

    compared("Matched speed-up", Better.UP, "Speed", _speed_cell)
    compared("%Opt", Better.UP, "Speed", lambda c: view.cell(c.optimised, words.percent))
    compared("Regressions", Better.DOWN, "Speed", _regressions)
    for k in results.ks:
        single(f"pass@{k}", Better.UP, "Correctness", partial(_pass_cell, k=k, against=against))
    single("Problems solved", Better.UP, "Correctness", partial(_solved, against=against))
    for group, rows in _measured_rows(results, against):
        groups.setdefault(group, []).extend(rows)
    single("Code length, characters", Better.DOWN, "Length", partial(_length_cell, against=against))
    single("Tokens written", Better.DOWN, "Length", lambda m: view.cell(m.model_tokens, words.count))
    single("Cut off at the limit", Better.DOWN, "Length", lambda m: view.cell(m.truncated, words.percent))
    single("Judged in one process", Better.DOWN, "Quality", lambda m: view.cell(m.weak_integrity, words.percent))
    single("Samples left out", Better.DOWN, "Quality", _left_out)
    note = "Brackets: 95% interval over problems. \u2191 higher is better, \u2193 lower is better."
    filled = [(group, rows) for group, rows in groups.items() if rows]
    return Table("results", "Results", "", _model_heads(results), filled, [], note)


def regressions_table(results: Results) -> Table | None:
    """What a model does worse than the base, the worst first: slower by 10% and more, then no longer solved.

    None where there is nothing to compare with.
    """
    if not results.comparisons:
        return None
    slower: list[tuple[float, Row]] = []
    lost: list[Row] = []
    for comparison in results.comparisons:
        for problem in results.problems:
            ratio = problem.speedup.get(comparison.model)
            speed = view.ratio_cell(ratio)
            if ratio is not None and speed.tone == "worse":
                slower.append((ratio, _regression_row(problem, comparison, speed)))
            elif _lost(problem, comparison):
                lost.append(_regression_row(problem, comparison, Cell("lost", tone="worse")))
    by_ratio = [row for _, row in sorted(slower, key=lambda entry: entry[0])]
    shown = _share_of(by_ratio, lost)
    left = len(by_ratio) + len(lost) - sum(len(rows) for _, rows in shown)
    base = words.one_line(results.base)
    note = f"Slower by 10% or more than {base}, or no longer solved."
    if not shown and all(comparison.speedup.figure.value is None for comparison in results.comparisons):
        note = "No run times could be compared, and no problem is lost."
    elif not shown:
        note = f"No problem is slower by 10% or more than {base}, or no longer solved."
    elif left:
        note += f" {words.some(left, 'rows')} more: see the table of all problems."
    heads = [
        Head("Model", numeric=False), Head("Speed-up"), Head("Run time, base"), Head("Run time"),
        Head("Passed, base"), Head("Passed"),
    ]  # fmt: skip
    return Table("regressions", "Regressions", "Problem", heads, shown, [], note)


def _share_of(slower: Sequence[Row], lost: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The first rows of both kinds, half of the room for each where both need it."""
    half = MAX_REGRESSIONS // 2
    room = max(half, MAX_REGRESSIONS - len(lost))
    kept = list(slower[:room])
    groups = [("Slower", kept), ("No longer solved", list(lost[: MAX_REGRESSIONS - len(kept)]))]
    return [(label, rows) for label, rows in groups if rows]


def _regression_row(problem: ProblemResult, comparison: ModelComparison, what: Cell) -> Row:
    base, model = problem.models[comparison.base], problem.models[comparison.model]
    return Row(
        problem.task_id,
        [
            Cell(comparison.model),
            what,
            _runtime(base.runtime_ns),
            _runtime(model.runtime_ns),
            _passed(base.passed, base.judged),
            _passed(model.passed, model.judged),
        ],
    )


def _lost(problem: ProblemResult, comparison: ModelComparison) -> bool:
    base, model = problem.models[comparison.base], problem.models[comparison.model]
    return base.passed > 0 and model.judged > 0 and model.passed == 0


def problems_table(results: Results) -> Table:
    """Every problem, the worst regression of any model first; problems without a speed-up at the end."""
    heads: list[Head] = []
    over: list[Over] = []
    for place, model in enumerate(results.models):
        columns = [Head("Passed"), Head("Run time"), *([Head("Speed-up")] if place else [])]
        heads += [Head(head.label, place) for head in columns]
        over.append(Over(model.name, len(columns), place))
    rows = []
    for problem in sorted(results.problems, key=_worst):
        cells: list[Cell] = []
        for place, model in enumerate(results.models):
            seen = problem.models[model.name]
            cells += [_passed(seen.passed, seen.judged), _runtime(seen.runtime_ns)]
            if place:
                cells.append(view.ratio_cell(problem.speedup.get(model.name)))
        rows.append(Row(problem.task_id, cells))
    note = "Per model: samples that pass of those judged; median run time of its passing samples"
    note += f"; speed-up over {words.one_line(results.base)}." if results.comparisons else "."
    return Table("problems", "All problems", "Problem", heads, [("", rows)], over, note)


def _worst(problem: ProblemResult) -> tuple[float, str]:
    ratios = [ratio for ratio in problem.speedup.values() if ratio is not None]
    return min(ratios, default=float("inf")), problem.task_id


def verdicts_table(results: Results) -> Table:
    """Counts of samples by verdict; verdicts that nobody got are left out."""
    seen = {verdict for model in results.models for verdict in model.verdicts}
    order = [verdict for _, _, group in VERDICT_GROUPS for verdict in group if verdict in seen]
    order += sorted(seen - set(order))
    rows = [Row(verdict, [_number(model.verdicts.get(verdict, 0)) for model in results.models]) for verdict in order]
    internal = [_number(model.internal) for model in results.models]
    rows.append(Row(INTERNAL, internal, note="our fault, left out of everything"))
    return Table("verdicts", "Verdicts, counts of samples", "Verdict", _model_heads(results), [("", rows)], [])


def quality_facts(results: Results) -> list[tuple[str, Cell]]:
    """How good the measuring was, a line a fact."""
    quality = results.quality
    flags = ", ".join(f"{number} {flag}" for flag, number in quality.flags.items()) or "none"
    facts = [
        ("Solutions measured", Cell(f"{quality.solutions:,}", n=words.some(quality.problems, "problems"))),
        ("Pairs left undecided", view.cell(quality.undecided, words.percent)),
        ("Median width of a label's interval", view.cell(quality.interval_width, words.percent)),
        ("Disturbed blocks, repeated", view.cell(quality.contaminated, words.percent)),
        ("Flagged solutions", Cell(flags)),
    ]
    if quality.aa is not None:
        said = {True: "contains 1, as it should", False: "leaves out 1, as 1 in 20 does by chance", None: ""}
        note = said[quality.aa.holds]
        facts.append(("Base against itself, speed-up", view.cell(quality.aa.speedup, words.times, note=note)))
    return facts


def _model_heads(results: Results) -> list[Head]:
    return [Head(model.name, place) for place, model in enumerate(results.models)]


_Record = TypeVar("_Record")
_Figures = Sequence[Figure | None]  # one a model


def _each(records: Sequence[_Record | None], figure: Callable[[_Record], Figure]) -> _Figures:
    return [None if record is None else figure(record) for record in records]


def _measured_rows(results: Results, against: Mapping[str, ModelComparison]) -> Iterator[tuple[str, list[Row]]]:
    """The figures that not every evaluation has: of run times in relation to correctness, memory, held-out tests."""
    compared = [against.get(model.name) for model in results.models]
    ks = [str(k) for k in results.ks]
    own = [model.efficiency for model in results.models]
    change = [comparison.efficiency if comparison else None for comparison in compared]
    score = partial(_row, show=words.share, null=0.0, show_change=partial(words.signed, digits=3))
    rows = [
        *(score(f"eff@{k}", _each(own, _eff_at(k)), _each(change, _eff_at(k))) for k in ks),
        score("Beyond", _each(own, lambda e: e.beyond), _each(change, lambda c: c.beyond)),
        score("DPS", _each(own, lambda e: e.dps), _each(change, lambda c: c.dps)),
        score("DPS, normalised", _each(own, lambda e: e.dps_norm), _each(change, lambda c: c.dps_norm)),
        _row("Expected time, failures as the limit", _each(own, lambda e: e.joint_ns),
             _each(change, lambda c: c.joint_ns), show=words.duration, null=0.0,
             show_change=words.signed_duration),
        _row("Peak memory", _each(own, lambda e: e.memory_bytes), _each(change, lambda c: c.memory_ratio),
             show=words.size, null=1.0, show_change=words.times, unit=" the base's"),
    ]  # fmt: skip
    yield "Efficiency", [row for row in rows if row]
    kept = [model.held_out for model in results.models]
    turned = [comparison.held_out if comparison else None for comparison in compared]
    points = partial(_row, show=words.percent, null=0.0, show_change=words.points, unit=" points")
    rows = [
        points("Held-out gap", _each(kept, lambda h: h.gap), _each(turned, lambda t: t.gap)),
        *(points(f"pass@{k}, held-out too", _each(kept, _pass_at(k)), _each(turned, _pass_at(k))) for k in ks),
    ]
    yield "Held-out tests", [row for row in rows if row]


def _eff_at(k: str) -> Callable[[ModelEfficiency | EfficiencyDifference], Figure]:
    return lambda record: record.eff_at_k[k]


def _pass_at(k: str) -> Callable[[HeldOut | HeldOutDifference], Figure]:
    return lambda record: record.pass_at_k[k]


def _row(
    label: str,
    figures: _Figures,
    changes: _Figures,
    *,
    show: Callable[[float], str],
    null: float,
    show_change: Callable[[float], str],
    unit: str = "",
) -> Row | None:
    """A model's figure and its change from the base's; `null`: the change that is none. None where no model has it."""
    known = [figure for figure in figures if figure is not None and figure.value is not None]
    if not known:
        return None
    cells = []
    for figure, change in zip(figures, changes, strict=True):
        made = view.cell(figure, show) if figure else Cell(words.DASH)
        cells.append(view.with_difference(made, change, null, show_change, unit) if change else made)
    return Row(label, cells, known[0].better)


def _number(count: int) -> Cell:
    return Cell(f"{count:,}", value=count)


def _passed(passed: int, judged: int) -> Cell:
    return Cell(f"{passed}/{judged}", value=passed / judged if judged else None)


def _runtime(nanoseconds: float | None) -> Cell:
    return Cell(words.DASH if nanoseconds is None else words.duration(nanoseconds), value=nanoseconds)


def _speed_cell(comparison: ModelComparison) -> Cell:
    note = words.probability(comparison.speedup.p_holm)
    if comparison.speedup.untimed:
        note += f"; {words.some(comparison.speedup.untimed, 'problems')} untimed"
    return view.cell(comparison.speedup.figure, words.times, note=note, tone=view.speed_tone(comparison))


def _regressions(comparison: ModelComparison) -> Cell:
    speed = comparison.speedup
    if speed.figure.value is None:
        return Cell(words.DASH, note=speed.figure.reason)
    note = words.some(speed.faster, "improvements")
    return Cell(str(speed.slower), n=words.some(speed.figure.n, "problems"), note=note)


def _pass_cell(model: ModelResult, *, k: int, against: Mapping[str, ModelComparison]) -> Cell:
    made = view.cell(model.pass_at_k[str(k)], words.percent)
    if model.name not in against:
        return made
    return view.with_difference(made, against[model.name].pass_at_k[str(k)], 0.0, words.points, " points")


def _length_cell(model: ModelResult, *, against: Mapping[str, ModelComparison]) -> Cell:
    made = view.cell(model.characters, words.count)
    if model.name not in against:
        return made
    return view.with_difference(made, against[model.name].length_ratio, 1.0, words.times, " the base's")


def _solved(model: ModelResult, *, against: Mapping[str, ModelComparison]) -> Cell:
    known = against.get(model.name)
    note = f"{known.gained} gained, {known.lost} lost" if known else ""
    return Cell(str(model.solved), n=words.some(model.problems, "problems"), note=note)


def _left_out(model: ModelResult) -> Cell:
    parts = ((model.internal, INTERNAL), (model.unjudged, "not run"))
    note = ", ".join(f"{number} {what}" for number, what in parts if number)
    return Cell(str(model.internal + model.unjudged), n=words.some(model.samples, "samples"), note=note)
