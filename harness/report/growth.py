"""What larger inputs showed (stress.jsonl), problem by problem: curves for the chart, rows for the table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.report import words
from harness.report.tables import Head, Row, Table
from harness.report.view import Cell
from harness.stress.records import StressResult, StressSolution

EXPONENTIAL = "exponential"
MOST_LAWS = 3  # more of them say nothing


@dataclass(frozen=True, slots=True)
class GrowthCurve:
    """How one solution's run time grows with its input; `exponent`: the slope on logarithmic axes, None if unknown."""

    task_id: str
    name: str  # of the solution
    sizes: Sequence[float]  # ascending
    times_ns: Sequence[float]  # one a size
    exponent: float | None
    exponential: bool = False  # steeper than any power: the exponent is only that of the largest sizes

    @property
    def growth(self) -> str:
        return EXPONENTIAL if self.exponential else words.power(self.exponent or 0.0)


def growth_curves(results: Iterable[StressResult]) -> list[GrowthCurve]:
    """The solutions that have an exponent and nothing against them."""
    return [
        GrowthCurve(result.task_id, one.solution_id, one.sizes, one.ns, one.exponent, one.laws == [EXPONENTIAL])
        for result in results
        for one in _believed(result)
    ]


def growth_table(results: Sequence[StressResult]) -> Table | None:
    """Each problem that has larger inputs, those whose solutions lie furthest apart first; None where none has."""
    grown = [result for result in results if not result.why]
    if not grown:
        return None
    heads = [
        Head("Own size"), Head("Largest"), Head("Apart, own calls"), Head("Apart, larger"), Head("Grows least"),
        Head("Grows most"), Head("Small only"),
    ]  # fmt: skip
    rows = [_row(result) for result in sorted(grown, key=lambda one: (-(one.separation or 0.0), one.task_id))]
    note = (
        "Size: elements, characters or the number itself. Apart: the largest ratio between two solutions whose order "
        f"is decided, 1{words.TIMES} where none is. Growth: run time as a power of the size n, with the 95% interval "
        f"of the exponent, and the laws that it allows where these are {MOST_LAWS} at most. Small only: solutions that "
        "contradict nearly all others on larger inputs."
    )
    whys = Counter(result.why for result in results if result.why)
    if whys:
        reasons = ", ".join(f"{count} {why}" for why, count in whys.most_common())
        note += f" {words.some(whys.total(), 'problems')} without larger inputs: {reasons}."
    return Table("growth", "Growth with the input", "Problem", heads, [("", rows)], [], note)


def _row(result: StressResult) -> Row:
    known = sorted(_believed(result), key=lambda one: (one.exponent or 0.0, one.solution_id))
    size = Cell(words.DASH) if result.size is None else Cell(f"{result.size:,}", value=result.size)
    cells = [
        Cell(f"{result.base_size:,}", value=result.base_size),
        size,
        _apart(result.base_separation),
        _apart(result.separation),
        *(_exponent(one) for one in ((known[0], known[-1]) if known else (None, None))),
        Cell(str(len(result.dissenters)), value=len(result.dissenters)),
    ]
    return Row(result.task_id, cells, note=f"by {result.axis}")


def _apart(ratio: float | None) -> Cell:
    return Cell(words.DASH) if ratio is None else Cell(words.times(ratio), value=ratio)


def _exponent(one: StressSolution | None) -> Cell:
    if one is None or one.exponent is None or one.low is None or one.high is None:
        return Cell(words.DASH, note="fewer than three sizes")
    if one.laws == [EXPONENTIAL]:
        return Cell(EXPONENTIAL, value=one.exponent)
    interval = f"[{words.plain(one.low, 2)}, {words.plain(one.high, 2)}]"
    laws = ", ".join(one.laws) if len(one.laws) <= MOST_LAWS else ""
    return Cell(words.power(one.exponent), interval, note=laws, value=one.exponent)


def _believed(result: StressResult) -> list[StressSolution]:
    return [one for one in result.solutions if one.exponent is not None and not one.flags]
