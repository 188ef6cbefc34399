"""The report's first table: every figure of every model, and its difference from the base."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from harness.evaluation.efficiency import EfficiencyDifference, HeldOut, HeldOutDifference, ModelEfficiency
from harness.evaluation.results import ModelComparison, ModelResult, Results
from harness.metrics.figure import Better, Figure
from harness.report import view, words
from harness.report.tables import INTERNAL, Row, Table, model_heads
from harness.report.view import Cell

_Record = TypeVar("_Record")
_Figures = Sequence[Figure | None]  # one a model


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
    if any(model.larger for model in results.models):
        larger = "Larger inputs"
        compared("Speed-up, larger inputs", Better.UP, larger, _larger_cell)
        compared("Speed-up of the same pairs, own calls", Better.UP, larger, _same_pairs_cell)
        single("Right on small inputs only", Better.DOWN, larger, _small_only)
    for group, rows in _measured_rows(results, against):
        groups.setdefault(group, []).extend(rows)
    single("Code length, characters", Better.DOWN, "Length", partial(_length_cell, against=against))
    single("Tokens written", Better.DOWN, "Length", lambda m: view.cell(m.model_tokens, words.count))
    single("Cut off at the limit", Better.DOWN, "Length", lambda m: view.cell(m.truncated, words.percent))
    single("Judged in one process", Better.DOWN, "Quality", lambda m: view.cell(m.weak_integrity, words.percent))
    single("Samples left out", Better.DOWN, "Quality", _left_out)
    single("Run times left out", Better.DOWN, "Quality", _untimed)
    note = "Brackets: 95% interval over problems. \u2191 higher is better, \u2193 lower is better."
    filled = [(group, rows) for group, rows in groups.items() if rows]
    return Table("results", "Results", "", model_heads(results), filled, [], note)


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


def _untimed(model: ModelResult) -> Cell:
    """Passing samples in no figure of speed: not timed, or under a flag that says that the time is not true."""
    found = model.efficiency
    if found is None:
        return Cell(words.DASH)
    passing = words.some(model.verdicts.get("PASSED", 0), "passing samples")
    flagged = found.spoilt or 0
    parts = ((flagged, "with a flag"), (found.untimed - flagged, "not timed"))
    note = ", ".join(f"{number} {what}" for number, what in parts if number)
    return Cell(str(found.untimed), n=passing, note=note)


def _larger_cell(comparison: ModelComparison) -> Cell:
    larger = comparison.larger
    if larger is None:
        return Cell(words.DASH)
    note = f"{words.some(larger.slower, 'regressions')}, {words.some(larger.faster, 'improvements')}"
    return view.cell(larger.speedup, words.times, note=note, tone=view.tone_of(larger.speedup, 1.0))


def _same_pairs_cell(comparison: ModelComparison) -> Cell:
    larger = comparison.larger
    return Cell(words.DASH) if larger is None else view.cell(larger.own, words.times)


def _small_only(model: ModelResult) -> Cell:
    if model.larger is None:
        return Cell(words.DASH)
    return Cell(str(model.larger.small_only), n=words.some(model.larger.passing, "passing samples"))
