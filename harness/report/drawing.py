"""One chart as inline SVG: matplotlib draws, the page colours.

Every colour is drawn as a stand-in that `finished` replaces with a CSS variable, so one drawing follows the page's
light, dark and print colours. Text stays text in the page's own font. Output depends on the input alone
(`svg.hashsalt`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from harness.report import words
from harness.report.tables import VERDICT_GROUPS

MODEL_COLOURS = 6
WIDTH = 4.3  # inches: small, so that text is large enough where a phone shows the chart at full width

_NAMES = (
    "ink", "muted", "line", "panel", "good", "bad", *(f"m{i}" for i in range(MODEL_COLOURS)),
    *(name for _, name, _ in VERDICT_GROUPS), "v-same",
)  # fmt: skip
COLOUR: Mapping[str, str] = {name: f"#0a{number:02x}0b" for number, name in enumerate(_NAMES)}
_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "code-optimise",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: layout does not depend on the machine's fonts
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOUR["line"],
    "axes.labelcolor": COLOUR["muted"],
    "xtick.color": COLOUR["line"],
    "ytick.color": COLOUR["line"],
    "xtick.labelcolor": COLOUR["muted"],
    "ytick.labelcolor": COLOUR["ink"],
    "text.color": COLOUR["ink"],
}


def style() -> AbstractContextManager[None]:
    """matplotlib's settings while a chart is drawn."""
    return mpl.rc_context(_RC)


def canvas_of(height: float) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(WIDTH, height), layout="constrained")
    return canvas, canvas.subplots()


def quiet(axes: Axes, *, grid: Literal["x", "y", ""]) -> None:
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=COLOUR["line"], linewidth=0.6)
        axes.spines["left" if grid == "y" else "bottom"].set_visible(False)


def short(name: str, limit: int = 18) -> str:
    """A model's name that fits beside a chart. Dollar signs would start a formula in matplotlib."""
    name = words.one_line(name)
    return (name if len(name) <= limit else name[: limit - 1] + "\u2026").replace("$", r"\$")


def finished(canvas: Canvas, name: str, alt: str) -> str:
    """The drawing as an <svg> element. `name` makes its ids its own in the page; `alt` is what a screen reader says."""
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
    for variable, colour in COLOUR.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.strip()
