"""results.json, report.md and report.html, written from one `Results`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.evaluation.results import Results, to_json
from harness.report import charts, view, words
from harness.report.context import ReportContext
from harness.store import write_atomically

VERDICT_ORDER = [verdict for _, _, group in charts.VERDICT_GROUPS for verdict in group]
_MAX_CODE = 4_000  # characters of one example shown


@dataclass(frozen=True, slots=True)
class Written:
    """The files that `render` wrote."""

    results_json: Path
    report_md: Path
    report_html: Path


def render(results: Results, context: ReportContext, out_dir: Path) -> Written:
    """Write the three files into `out_dir`, each whole or not at all. The same input gives the same bytes."""
    written = Written(out_dir / "results.json", out_dir / "report.md", out_dir / "report.html")
    write_atomically(written.results_json, to_json(results))
    write_atomically(written.report_md, markdown(results, context))
    write_atomically(written.report_html, html(results, context))
    return written


def html(results: Results, context: ReportContext) -> str:
    """The report as one self-contained page. All text from models and data is escaped."""
    environment = _environment(escape=True)
    style = environment.get_template("report.css").render()
    drawn = {
        "passk": charts.pass_at_k(results),
        "speed": charts.speedups(results),
        "verdicts": charts.verdicts(results),
        "quality": charts.label_quality(results),
    }
    # The style sheet and the charts are ours; matplotlib escapes the model names that the charts hold.
    safe = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    page = environment.get_template("report.html.j2")
    return page.render(style=Markup(style), charts=safe, **_shared(results, context))  # noqa: S704


def markdown(results: Results, context: ReportContext) -> str:
    """The report without charts. Text from models stays inside code fences or is made harmless to tables."""
    return _environment(escape=False).get_template("report.md.j2").render(**_shared(results, context))


def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=escape,  # noqa: S701 (off for Markdown alone, which has its own filters)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=words.percent, duration=words.duration, times=words.times, md=_markdown_text, fence=_fence, code=_code
    )
    return environment


def _shared(results: Results, context: ReportContext) -> dict[str, Any]:
    """What both templates are given."""
    rows = view.lines(results)
    groups = list(dict.fromkeys(row.group for row in rows))
    return {
        "title": context.title,
        "context": context,
        "results": results,
        "models": [(model.name, charts.model_colour(place)) for place, model in enumerate(results.models)],
        "headlines": view.headlines(results),
        "groups": [(group, [row for row in rows if row.group == group]) for group in groups],
        "problem_lines": view.problem_lines(results),
        "verdict_groups": [(label, colour) for label, colour, _ in charts.VERDICT_GROUPS],
        "decision_groups": [(label, colour) for label, colour, _ in charts.DECISION_GROUPS],
        "verdict_rows": _verdict_rows(results),
        "quality": _quality_facts(results),
        "facts": flatten(context.facts),
        "host": flatten(context.host),
    }


def _verdict_rows(results: Results) -> list[tuple[str, list[int]]]:
    """Verdict, then its count per model; verdicts that nobody got are left out."""
    seen = {verdict for model in results.models for verdict in model.verdicts}
    order = [verdict for verdict in VERDICT_ORDER if verdict in seen] + sorted(seen - set(VERDICT_ORDER))
    rows = [(verdict, [model.verdicts.get(verdict, 0) for model in results.models]) for verdict in order]
    return [*rows, ("INTERNAL", [model.internal for model in results.models])]


def _quality_facts(results: Results) -> list[tuple[str, view.Cell]]:
    quality = results.quality
    flags = ", ".join(f"{number} {flag}" for flag, number in quality.flags.items()) or "none"
    return [
        ("Solutions measured", view.Cell(f"{quality.solutions:,}", n=words.some(quality.problems, "problems"))),
        ("Pairs left undecided", view.cell(quality.undecided, words.percent)),
        ("Median width of a label's interval", view.cell(quality.interval_width, words.percent)),
        ("Disturbed blocks, repeated", view.cell(quality.contaminated, words.percent)),
        ("Flagged solutions", view.Cell(flags)),
    ]


def flatten(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as dotted names and text, in the order given. None reads "unknown"."""
    rows: list[tuple[str, str]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            rows.extend(flatten(value, f"{prefix}{name}."))
        else:
            rows.append((f"{prefix}{name}", _plain(value)))
    return rows


def _plain(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _code(text: str) -> str:
    """Code to show: printable, without outer blank lines and common indent, and not endless."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    shown = textwrap.dedent(shown).strip("\n").rstrip()
    return shown if len(shown) <= _MAX_CODE else f"{shown[:_MAX_CODE]}\n[{len(shown) - _MAX_CODE:,} more characters]"


def _markdown_text(text: str) -> str:
    """One line that neither ends a table cell nor starts markup or HTML."""
    flat = " ".join(text.split())
    for character in "\\`*_[]|<>":
        flat = flat.replace(character, f"\\{character}" if character not in "<>" else f"&{'lg'[character == '>']}t;")
    return flat


def _fence(text: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    shown, ticks = _code(text), "```"
    while ticks in shown:
        ticks += "`"
    return f"{ticks}python\n{shown}\n{ticks}"
