"""The report's charts as inline SVG. Drawn by matplotlib, coloured by the page.

Every colour is drawn as a stand-in that `_tidy` replaces with a CSS variable, so one drawing follows the page's light,
dark and print colours. Text stays text in the page's own font. Output depends on the results alone (`svg.hashsalt`).
"""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.evaluation.results import WIDTH_EDGES, Results
from harness.report import words

# Verdicts as a reader thinks of them; the exact words are in the page's table.
VERDICT_GROUPS = (
    ("Passed", "v-passed", ("PASSED",)),
    ("Wrong answer", "v-wrong", ("WRONG",)),
    ("Raised an error", "v-error", ("ERROR",)),
    ("Does not compile", "v-syntax", ("SYNTAX",)),
    ("Over a limit", "v-limit", ("TIMEOUT_CPU", "TIMEOUT_WALL", "MEMORY", "OUTPUT")),
    ("Broke off or broke the rules", "v-broke", ("EARLY_EXIT", "SIGNAL", "VIOLATION")),
)
DECISION_GROUPS = (
    ("Order decided", "v-passed", "quick"),
    ("Same", "v-same", "same"),
    ("Undecided", "v-error", "undecided"),
)
MODEL_COLOURS = 6

_NAMES = (
    "ink", "muted", "line", "panel", "good", "bad", *(f"m{i}" for i in range(MODEL_COLOURS)),
    *(name for _, name, _ in VERDICT_GROUPS), "v-same",
)  # fmt: skip
_STAND_IN = {name: f"#0a{number:02x}0b" for number, name in enumerate(_NAMES)}
_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "code-optimise",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: layout does not depend on the machine's fonts
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _STAND_IN["line"],
    "axes.labelcolor": _STAND_IN["muted"],
    "xtick.color": _STAND_IN["line"],
    "ytick.color": _STAND_IN["line"],
    "xtick.labelcolor": _STAND_IN["muted"],
    "ytick.labelcolor": _STAND_IN["ink"],
    "text.color": _STAND_IN["ink"],
}
_WIDTH = 4.3  # inches: small, so that text is large enough where a phone shows the chart at full width
_RATIO_TICKS = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.33,
    0.5,
    0.67,
    0.8,
    1.0,
    1.25,
    1.5,
    2.0,
    3.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
)


def model_colour(position: int) -> str:
    """The CSS variable of the model at this place in `Results.models`."""
    return f"m{position % MODEL_COLOURS}"


def pass_at_k(results: Results) -> str:
    """pass@k by k, one line per model with 95% intervals."""
    ks = [k for k in results.ks if any(m.pass_at_k[str(k)].value is not None for m in results.models)]
    if not ks:
        return ""
    with mpl.rc_context(_RC):
        canvas, axes = _canvas(2.7)
        count = len(results.models)
        for position, model in enumerate(results.models):
            shift = (position - (count - 1) / 2) * min(0.11, 0.5 / count)
            colour = _STAND_IN[model_colour(position)]
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
        axes.set_xticklabels([f"pass@{k}" for k in ks], color=_STAND_IN["ink"])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        axes.tick_params(axis="y", labelcolor=_STAND_IN["muted"])
        _quiet(axes, grid="y")
        return _svg(canvas, "passk", "pass at k per model with 95% intervals; the numbers are in the table of results")


def speedups(results: Results) -> str:
    """Per comparison a dot for each matched problem on a logarithmic axis, and the geometric mean with its interval."""
    rows = [
        (
            position,
            comparison,
            sorted(r for p in results.problems if (r := p.speedup.get(comparison.model)) is not None),
        )
        for position, model in enumerate(results.models)
        for comparison in results.comparisons
        if comparison.model == model.name
    ]
    rows = [row for row in rows if row[2]]
    if not rows:
        return ""
    with mpl.rc_context(_RC):
        canvas, axes = _canvas(0.75 + 0.95 * len(rows))
        low = min(0.8, *(ratios[0] for _, _, ratios in rows)) / 1.08
        high = max(1.25, *(ratios[-1] for _, _, ratios in rows)) * 1.08
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.axvspan(low, 1.0, color=_STAND_IN["bad"], alpha=0.07, linewidth=0)
        axes.axvline(1.0, color=_STAND_IN["muted"], linewidth=1.0)
        for row, (_, comparison, ratios) in enumerate(rows):
            heights = stacked(ratios, low, high)
            for name, wanted in (("bad", -1), ("muted", 0), ("good", 1)):
                dots = [(x, row + y) for x, y in zip(ratios, heights, strict=True) if _side(x) == wanted]
                axes.plot(
                    [x for x, _ in dots], [y for _, y in dots], "o", color=_STAND_IN[name], alpha=0.6, markersize=3.6,
                    markeredgewidth=0,
                )  # fmt: skip
            figure = comparison.speedup.figure
            assert figure.value is not None
            if figure.low is not None and figure.high is not None:
                axes.plot([figure.low, figure.high], [row + 0.43] * 2, color=_STAND_IN["ink"], linewidth=2.0)
            axes.plot([figure.value], [row + 0.43], "D", color=_STAND_IN["ink"], markersize=4.6)
        axes.set_ylim(len(rows) - 0.4, -0.5)  # first comparison on top
        axes.yaxis.set_major_locator(FixedLocator(list(range(len(rows)))))
        axes.set_yticklabels([_short(comparison.model) for _, comparison, _ in rows])
        axes.xaxis.set_major_locator(FixedLocator(_ratio_ticks(low, high)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{words.TIMES}"))
        axes.set_xlabel(f"\u2190 slower  \u00b7  faster than {_short(results.base)} \u2192")
        _quiet(axes, grid="x")
        axes.spines["left"].set_visible(False)
        return _svg(
            canvas, "speed", "speed-up per problem that both models solve, with geometric mean and 95% interval"
        )


def _side(ratio: float) -> int:
    """-1 slower, 0 the same (often the very same program), 1 faster."""
    return 0 if math.isclose(ratio, 1.0, rel_tol=1e-9) else 1 if ratio > 1.0 else -1


def stacked(ratios: Sequence[float], low: float, high: float, *, bins: int = 64) -> list[float]:
    """Offsets from the row's middle for dots that share a place on the axis (sorted input), within 0.3 up and down."""
    span = math.log(high / low)
    places = [int(bins * math.log(ratio / low) / span) for ratio in ratios]
    sizes = Counter(places)
    step = min(0.075, 0.6 / max(1, *sizes.values()))
    seen: Counter[int] = Counter()
    offsets = []
    for place in places:
        offsets.append((seen[place] - (sizes[place] - 1) / 2) * step)
        seen[place] += 1
    return offsets


def verdicts(results: Results) -> str:
    """What became of the judged samples: one bar per model, adding up to 100%."""
    bars = [
        (_short(m.name), [sum(m.verdicts.get(v, 0) for v in group) for _, _, group in VERDICT_GROUPS])
        for m in results.models
        if m.judged
    ]
    if not bars:
        return ""
    with mpl.rc_context(_RC):
        canvas, axes = _canvas(0.55 + 0.42 * len(bars))
        _bars(axes, bars, [name for _, name, _ in VERDICT_GROUPS])
        return _svg(canvas, "verdicts", "share of samples by verdict per model; the counts are in the table below")


def label_quality(results: Results) -> str:
    """Above: what could be said of the pairs. Below: how narrow the intervals of the run times are."""
    quality = results.quality
    if not quality.solutions:
        return ""
    with mpl.rc_context(_RC):
        canvas = Canvas(figsize=(_WIDTH, 2.75), layout="constrained")
        pairs, widths = canvas.subplots(2, 1, gridspec_kw={"height_ratios": [1, 3.1]})
        _bars(pairs, [("Pairs", [quality.decisions.get(key, 0) for _, _, key in DECISION_GROUPS])],
              [name for _, name, _ in DECISION_GROUPS])  # fmt: skip
        total = sum(quality.width_histogram)
        shares = [number / total if total else 0.0 for number in quality.width_histogram]
        places = list(range(len(shares)))
        widths.bar(places, shares, width=0.82, color=_STAND_IN["muted"], alpha=0.75)
        for place, share in zip(places, shares, strict=True):
            widths.text(place, share + 0.015, f"{100 * share:.0f}%", ha="center", va="bottom", fontsize=8.5)
        edges = [f"{100 * edge:g}" for edge in WIDTH_EDGES]
        names = [f"\u2264 {edges[0]}%", *(f"\u2264 {edge}%" for edge in edges[1:]), f"> {edges[-1]}%"]
        widths.xaxis.set_major_locator(FixedLocator(places))
        widths.set_xticklabels(names)
        widths.set_ylim(0, max(shares) * 1.2 + 0.01)
        widths.yaxis.set_major_locator(NullLocator())
        widths.set_xlabel("width of a label's 99% interval, as a share of its run time")
        _quiet(widths, grid="")
        widths.spines["left"].set_visible(False)
        return _svg(canvas, "quality", "share of pairs decided, and widths of run time intervals")


def _bars(axes: Axes, bars: Sequence[tuple[str, Sequence[int]]], colours: Sequence[str]) -> None:
    """Horizontal bars of 100%; shares of 6% and more are written inside."""
    for row, (_, counts) in enumerate(bars):
        total, left = sum(counts), 0.0
        for number, colour in zip(counts, colours, strict=True):
            share = number / total if total else 0.0
            axes.barh(row, share, left=left, height=0.66, color=_STAND_IN[colour], edgecolor=_STAND_IN["panel"],
                      linewidth=0.8)  # fmt: skip
            if share >= 0.06:
                axes.text(left + share / 2, row, f"{100 * share:.0f}%", color=_STAND_IN["panel"], ha="center",
                          va="center_baseline", fontsize=8.5)  # fmt: skip
            left += share
    axes.set_xlim(0, 1)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.yaxis.set_major_locator(FixedLocator(list(range(len(bars)))))
    axes.set_yticklabels([name for name, _ in bars])
    axes.xaxis.set_major_locator(NullLocator())
    _quiet(axes, grid="")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _canvas(height: float) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
    return canvas, canvas.subplots()


def _quiet(axes: Axes, *, grid: Literal["x", "y", ""]) -> None:
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=_STAND_IN["line"], linewidth=0.6)
        axes.spines["left" if grid == "y" else "bottom"].set_visible(False)


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


def _short(name: str, limit: int = 18) -> str:
    """A model's name that fits beside a chart. Dollar signs would start a formula in matplotlib."""
    return (name if len(name) <= limit else name[: limit - 1] + "\u2026").replace("$", r"\$")


def _svg(canvas: Canvas, name: str, alt: str) -> str:
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None,
                                                                    "Type": None})  # fmt: skip
    return _tidy(buffer.getvalue(), name, alt)


def _tidy(svg: str, name: str, alt: str) -> str:
    """Only the <svg> element: no namespaces or other addresses, ids of its own, CSS variables for colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]+)"', svg)
    assert view is not None
    svg = re.sub(r"<svg[^>]*>", f'<svg viewBox="{view.group(1)}" role="img" aria-label="{alt}">', svg, count=1)
    svg = svg.replace("xlink:href=", "href=")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r"<style.*?</style>\s*", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = re.sub(r"<g id=\"[^\"]*\"", "<g", svg)  # nothing refers to groups
    svg = re.sub(r" font-family: [^;\"]*;", "", svg)
    for variable, colour in _STAND_IN.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.strip()
