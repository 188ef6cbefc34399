"""The report's tables as data: built once from the results, written as HTML, Markdown, LaTeX and terminal text.

The table of results itself is in `harness.report.figures`, the one of growth in `harness.report.growth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.evaluation.results import ModelComparison, ProblemResult, Results
from harness.metrics.figure import Better
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
    """Every problem with a judged sample, the worst regression of any model first, those without a speed-up last."""
    heads: list[Head] = []
    over: list[Over] = []
    for place, model in enumerate(results.models):
        columns = [Head("Passed"), Head("Run time"), *([Head("Speed-up")] if place else [])]
        heads += [Head(head.label, place) for head in columns]
        over.append(Over(model.name, len(columns), place))
    rows = []
    judged = _judged(results)
    for problem in sorted(judged, key=_worst):
        cells: list[Cell] = []
        for place, model in enumerate(results.models):
            seen = problem.models[model.name]
            cells += [_passed(seen.passed, seen.judged), _runtime(seen.runtime_ns)]
            if place:
                cells.append(view.ratio_cell(problem.speedup.get(model.name)))
        rows.append(Row(problem.task_id, cells))
    note = "Per model: samples that pass of those judged; median run time of its passing samples"
    note += f"; speed-up over {words.one_line(results.base)}." if results.comparisons else "."
    if left := len(results.problems) - len(judged):
        note += f" {words.some(left, 'problems')} without judged samples left out."
    return Table("problems", "All problems", "Problem", heads, [("", rows)], over, note)


def _worst(problem: ProblemResult) -> tuple[float, str]:
    ratios = [ratio for ratio in problem.speedup.values() if ratio is not None]
    return min(ratios, default=float("inf")), problem.task_id


def judged_problems(results: Results) -> str:
    """How many of the problems have a judged sample."""
    judged, given = len(_judged(results)), words.some(results.problems_given, "problems")
    return given if judged == results.problems_given else f"{judged:,} of {given}"


def _judged(results: Results) -> list[ProblemResult]:
    return [problem for problem in results.problems if any(seen.judged for seen in problem.models.values())]


def verdicts_table(results: Results) -> Table:
    """Counts of samples by verdict; verdicts that nobody got are left out."""
    seen = {verdict for model in results.models for verdict in model.verdicts}
    order = [verdict for _, _, group in VERDICT_GROUPS for verdict in group if verdict in seen]
    order += sorted(seen - set(order))
    rows = [Row(verdict, [_number(model.verdicts.get(verdict, 0)) for model in results.models]) for verdict in order]
    internal = [_number(model.internal) for model in results.models]
    rows.append(Row(INTERNAL, internal, note="our fault, left out of everything"))
    return Table("verdicts", "Verdicts, counts of samples", "Verdict", model_heads(results), [("", rows)], [])


def quality_facts(results: Results) -> list[tuple[str, Cell]]:
    """How good the measuring was, a line a fact."""
    quality = results.quality
    flags = "; ".join(words.flagged(flag, number) for flag, number in quality.flags.items()) or "none"
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


def model_heads(results: Results) -> list[Head]:
    return [Head(model.name, place) for place, model in enumerate(results.models)]


def _number(count: int) -> Cell:
    return Cell(f"{count:,}", value=count)


def _passed(passed: int, judged: int) -> Cell:
    return Cell(f"{passed}/{judged}", value=passed / judged if judged else None)


def _runtime(nanoseconds: float | None) -> Cell:
    return Cell(words.DASH if nanoseconds is None else words.duration(nanoseconds), value=nanoseconds)
