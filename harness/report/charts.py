"""The report's charts. Each takes results or plain data and returns an <svg> element, or "" where there is nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.evaluation.quality import WIDTH_EDGES
from harness.evaluation.results import Results
from harness.metrics.figure import Figure
from harness.report import view, words
from harness.report.drawing import COLOUR, MODEL_COLOURS, WIDTH, canvas_of, finished, quiet, short, style
from harness.report.growth import GrowthCurve
from harness.report.tables import VERDICT_GROUPS

DECISION_GROUPS = (
    ("Order decided", "v-passed", "quick"),
    ("Same", "v-same", "same"),
    ("Undecided", "v-error", "undecided"),
)
GROWTH_PANELS = 4  # problems whose growth is drawn
MOST_TICKS = 4  # of an axis of theirs
TICK_STEPS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), tuple(n / 10 for n in range(10, 100)))
NEAR = 14.0  # pixels between two texts that would touch
_RATIO_TICKS = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0,
)  # fmt: skip


def model_colour(position: int) -> str:
    """The CSS variable of the model at this place in `Results.models`."""
    return f"m{position % MODEL_COLOURS}"


def pass_at_k(results: Results) -> str:
    """pass@k by k, one line per model with 95% intervals."""
    ks = [k for k in results.ks if any(m.pass_at_k[str(k)].value is not None for m in results.models)]
    if not ks:
        return ""
    with style():
        canvas, axes = canvas_of(2.7)
        count = len(results.models)
        for position, model in enumerate(results.models):
            shift = (position - (count - 1) / 2) * min(0.11, 0.5 / count)
            colour = COLOUR[model_colour(position)]
            shown = [(place + shift, model.pass_at_k[str(k)]) for place, k in enumerate(ks)]
            known = [(x, f.value, f.low, f.high) for x, f in shown if f.value is not None]
            axes.plot([x for x, *_ in known], [y for _, y, *_ in known], color=colour, linewidth=0.9, alpha=0.45)
            axes.plot(
                [x for x, *_ in known],
                [y for _, y, *_ in known],
                "o",
                color=colour,
                markersize=4.6,
                zorder=3,
                clip_on=False,
            )
            for x, _, low, high in known:
                if low is not None and high is not None:
                    axes.plot([x, x], [low, high], color=colour, linewidth=1.7, solid_capstyle="round")
        axes.set_xlim(-0.45, len(ks) - 0.55)
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(FixedLocator(list(range(len(ks)))))
        axes.set_xticklabels([f"pass@{k}" for k in ks], color=COLOUR["ink"])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        axes.tick_params(axis="y", labelcolor=COLOUR["muted"])
        quiet(axes, grid="y")
        return finished(canvas, "passk", "pass at k per model with 95% intervals; the numbers are in the results table")


def speedups(results: Results) -> str:
    """Per comparison a bar for each problem that both solve, sorted, on a logarithmic axis; regressions hang down."""
    rows = []
    for comparison in results.comparisons:
        ratios = sorted(r for p in results.problems if (r := p.speedup.get(comparison.model)) is not None)
        if ratios:
            rows.append((comparison.model, ratios, comparison.speedup.figure))
    if not rows:
        return ""
    with style():
        canvas = Canvas(figsize=(WIDTH, 0.35 + 1.55 * len(rows)), layout="constrained")
        panels = canvas.subplots(len(rows), 1, sharey=True, squeeze=False)[:, 0]
        low = min(0.8, *(ratios[0] for _, ratios, _ in rows)) / 1.05
        high = max(1.25, *(ratios[-1] for _, ratios, _ in rows)) * 1.05
        for axes, (model, ratios, figure) in zip(panels, rows, strict=True):
            _sorted_bars(axes, ratios, figure)
            axes.set_ylim(low, high)
            axes.yaxis.set_major_locator(FixedLocator(_ratio_ticks(low, high)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{words.TIMES}"))
            axes.set_title(f"{short(model, 40)} over {short(results.base, 40)}", fontsize=9, loc="left")
        panels[-1].set_xlabel("problems, sorted")
        alt = "speed-up of each problem that both models solve, sorted; the numbers are in the table of all problems"
        return finished(canvas, "speed", alt)


def _sorted_bars(axes: Axes, ratios: Sequence[float], figure: Figure) -> None:
    """Bars from 1 up or down, and the geometric mean with its interval across them."""
    axes.set_yscale("log")
    for tone, colour in (("worse", "bad"), ("", "muted"), ("better", "good")):
        places = [place for place, ratio in enumerate(ratios) if view.ratio_cell(ratio).tone == tone]
        heights = [ratios[place] - 1.0 for place in places]
        axes.bar(places, heights, width=0.86, bottom=1.0, color=COLOUR[colour], linewidth=0)
    if figure.low is not None and figure.high is not None:
        axes.axhspan(figure.low, figure.high, color=COLOUR["ink"], alpha=0.12, linewidth=0)
    if figure.value is not None:
        axes.axhline(figure.value, color=COLOUR["ink"], linewidth=1.0, dashes=(4, 2))
    axes.axhline(1.0, color=COLOUR["muted"], linewidth=0.8)
    axes.set_xlim(-0.7, max(len(ratios), 8) - 0.3)  # a few bars keep their width
    axes.xaxis.set_major_locator(NullLocator())
    axes.tick_params(axis="y", labelcolor=COLOUR["muted"])
    quiet(axes, grid="y")
    axes.spines["bottom"].set_visible(False)


def growth(curves: Sequence[GrowthCurve]) -> str:
    """Run time over input size, a panel a problem: of its solutions the one that grows least, most, and those between.

    Both axes are logarithmic, so that a straight line is a power of the size and its slope the exponent. Problems whose
    exponents differ most come first; those without two curves tell nothing and are left out.
    """
    chosen = _most_different(curves)
    if not chosen:
        return ""
    with style():
        rows, columns = (len(chosen) + 1) // 2, min(2, len(chosen))
        canvas = Canvas(figsize=(WIDTH, 0.3 + 1.85 * rows), layout="constrained")
        panels = canvas.subplots(rows, columns, squeeze=False).ravel()
        for axes, problem in zip(panels, chosen, strict=False):
            _growth_panel(axes, problem)
        for axes in panels[len(chosen) :]:
            axes.set_visible(False)
        canvas.supxlabel("size of the input", fontsize=9, color=COLOUR["muted"])
        return finished(canvas, "growth", "run time over input size for solutions of the same problem")


def _growth_panel(axes: Axes, problem: Sequence[GrowthCurve]) -> None:
    """One problem's curves, in order of growth; the first and the last stand out and tell their exponents."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for curve in problem[1:-1]:
        axes.plot(curve.sizes, curve.times_ns, color=COLOUR["muted"], linewidth=0.8, alpha=0.5)
    least, most = problem[0], problem[-1]
    for curve, colour, mark in ((least, "good", "o"), (most, "bad", "s")):
        axes.plot(curve.sizes, curve.times_ns, color=COLOUR[colour], marker=mark, markersize=3, linewidth=1.5)
    axes.margins(x=0.12, y=0.08)
    lifts = _lifts(axes, [(curve.sizes[-1], curve.times_ns[-1]) for curve in (least, most)])
    for curve, colour, lift in zip((least, most), ("good", "bad"), lifts, strict=True):
        axes.annotate(
            curve.growth, (curve.sizes[-1], curve.times_ns[-1]), (5, lift), textcoords="offset points",
            va="center", fontsize=8.5, color=COLOUR[colour], annotation_clip=False,
        )  # fmt: skip
    for axis, (low, high), text in (
        (axes.xaxis, axes.get_xlim(), words.magnitude),
        (axes.yaxis, axes.get_ylim(), words.round_duration),
    ):
        axis.set_minor_locator(NullLocator())
        axis.set_major_locator(FixedLocator(log_ticks(low, high)))
        axis.set_major_formatter(FuncFormatter(lambda value, _, text=text: text(value)))
    axes.tick_params(labelsize=8, labelcolor=COLOUR["muted"])
    axes.set_title(short(problem[0].task_id, 22), fontsize=9, loc="left")
    quiet(axes, grid="y")


def _lifts(axes: Axes, ends: Sequence[tuple[float, float]]) -> list[float]:
    """How far to move the texts at two curves' ends up or down, in points, so that they stay apart."""
    axes.autoscale_view()  # else the transformation is still that of an empty chart
    (left, low), (right, high) = (axes.transData.transform(end) for end in ends)
    if abs(low - high) > NEAR or abs(left - right) > 4 * NEAR:
        return [0.0, 0.0]
    return [-5.0, 5.0] if low <= high else [5.0, -5.0]


def log_ticks(low: float, high: float) -> list[float]:
    """Two to four round values between two that are a quarter apart or more: powers of ten, thinned; on a short axis
    multiples of them, as round as may be."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in TICK_STEPS:
        values = (step * 10.0**power for power in powers for step in steps)
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) >= 2:
            break
    return ticks[:: math.ceil(len(ticks) / MOST_TICKS)]


def _most_different(curves: Sequence[GrowthCurve]) -> list[list[GrowthCurve]]:
    """The problems to draw, each with its curves in order of growth."""
    drawable = [curve for curve in curves if len(curve.sizes) >= 2 and curve.exponent is not None]
    problems = []
    for _, group in groupby(sorted(drawable, key=lambda c: (c.task_id, c.exponent, c.name)), key=lambda c: c.task_id):
        ordered = list(group)
        if len(ordered) >= 2:
            problems.append(ordered)
    problems.sort(key=lambda p: ((p[0].exponent or 0.0) - (p[-1].exponent or 0.0), p[0].task_id))
    return problems[:GROWTH_PANELS]


def verdicts(results: Results) -> str:
    """What became of the judged samples: one bar per model, adding up to 100%."""
    bars = [
        (short(m.name), [sum(m.verdicts.get(v, 0) for v in group) for _, _, group in VERDICT_GROUPS])
        for m in results.models
        if m.judged
    ]
    if not bars:
        return ""
    with style():
        canvas, axes = canvas_of(0.55 + 0.42 * len(bars))
        _bars(axes, bars, [name for _, name, _ in VERDICT_GROUPS])
        return finished(canvas, "verdicts", "share of samples by verdict per model; the counts are in the table below")


def label_quality(results: Results) -> str:
    """Above: what could be said of the pairs. Below: how narrow the intervals of the run times are."""
    quality = results.quality
    if not quality.solutions:
        return ""
    with style():
        canvas = Canvas(figsize=(WIDTH, 2.75), layout="constrained")
        pairs, widths = canvas.subplots(2, 1, gridspec_kw={"height_ratios": [1, 3.1]})
        _bars(pairs, [("Pairs", [quality.decisions.get(key, 0) for _, _, key in DECISION_GROUPS])],
              [name for _, name, _ in DECISION_GROUPS])  # fmt: skip
        total = sum(quality.width_histogram)
        shares = [number / total if total else 0.0 for number in quality.width_histogram]
        places = list(range(len(shares)))
        widths.bar(places, shares, width=0.82, color=COLOUR["muted"], alpha=0.75)
        for place, share in zip(places, shares, strict=True):
            widths.text(place, share + 0.015, f"{100 * share:.0f}%", ha="center", va="bottom", fontsize=8.5)
        edges = [f"{100 * edge:g}" for edge in WIDTH_EDGES]
        names = [f"\u2264 {edges[0]}%", *(f"\u2264 {edge}%" for edge in edges[1:]), f"> {edges[-1]}%"]
        widths.xaxis.set_major_locator(FixedLocator(places))
        widths.set_xticklabels(names)
        widths.set_ylim(0, max(shares) * 1.2 + 0.01)
        widths.yaxis.set_major_locator(NullLocator())
        widths.set_xlabel("width of a label's 99% interval, as a share of its run time")
        quiet(widths, grid="")
        widths.spines["left"].set_visible(False)
        return finished(canvas, "quality", "share of pairs decided, and widths of run time intervals")


def _bars(axes: Axes, bars: Sequence[tuple[str, Sequence[int]]], colours: Sequence[str]) -> None:
    """Horizontal bars of 100%; shares of 6% and more are written inside."""
    for row, (_, counts) in enumerate(bars):
        total, left = sum(counts), 0.0
        for number, colour in zip(counts, colours, strict=True):
            share = number / total if total else 0.0
            axes.barh(row, share, left=left, height=0.66, color=COLOUR[colour], edgecolor=COLOUR["panel"],
                      linewidth=0.8)  # fmt: skip
            if share >= 0.06:
                axes.text(left + share / 2, row, f"{100 * share:.0f}%", color=COLOUR["panel"], ha="center",
                          va="center_baseline", fontsize=8.5)  # fmt: skip
            left += share
    axes.set_xlim(0, 1)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.yaxis.set_major_locator(FixedLocator(list(range(len(bars)))))
    axes.set_yticklabels([name for name, _ in bars])
    axes.xaxis.set_major_locator(NullLocator())
    quiet(axes, grid="")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _ratio_ticks(low: float, high: float) -> list[float]:
    """Round ratios inside the range, thinned from 1 outwards to at most 7 so that their texts stay apart."""
    inside = [tick for tick in _RATIO_TICKS if low <= tick <= high]
    gap = math.log(high / low) / 8
    kept = [1.0]
    for side in (sorted(t for t in inside if t > 1), sorted((t for t in inside if t < 1), reverse=True)):
        last = 1.0
        for tick in side:
            if abs(math.log(tick / last)) >= gap:
                kept.append(tick)
                last = tick
    return sorted(kept)
