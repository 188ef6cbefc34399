"""results.json, report.html, report.md and report.tex, written from one `Results`."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.evaluation.results import Results, to_json
from harness.report import charts, code, figures, tables, view, words, writers
from harness.report.context import ReportContext
from harness.report.growth import growth_curves, growth_table
from harness.store import write_atomically


@dataclass(frozen=True, slots=True)
class Written:
    """The files that `render` wrote."""

    results_json: Path
    report_md: Path
    report_html: Path
    report_tex: Path


def render(results: Results, context: ReportContext, out_dir: Path) -> Written:
    """Write the files into `out_dir`, each whole or not at all. The same input gives the same bytes."""
    written = Written(*(out_dir / name for name in ("results.json", "report.md", "report.html", "report.tex")))
    write_atomically(written.results_json, to_json(results))
    write_atomically(written.report_md, markdown(results, context))
    write_atomically(written.report_html, html(results, context))
    write_atomically(written.report_tex, latex(results, context))
    return written


def html(results: Results, context: ReportContext) -> str:
    """The report as one self-contained page that loads nothing and runs no script but our own (sorting tables).

    All text from models and data is escaped.
    """
    environment = _environment(escape=True)
    style = environment.get_template("report.css").render()
    script = environment.get_template("report.js").render()
    drawn = {
        "passk": charts.pass_at_k(results),
        "speed": charts.speedups(results),
        "verdicts": charts.verdicts(results),
        "quality": charts.label_quality(results),
        "growth": charts.growth(growth_curves(context.stress)),
    }
    # Style sheet, script and charts are ours; matplotlib escapes the model names that the charts hold.
    safe = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    page = environment.get_template("report.html.j2")
    return page.render(
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        policy=_policy(script),
        charts=safe,
        **_shared(results, context),
    )


def markdown(results: Results, context: ReportContext) -> str:
    """The report without charts. Text from models stays inside code fences or is made harmless to tables."""
    return _environment(escape=False).get_template("report.md.j2").render(**_shared(results, context))


def latex(results: Results, context: ReportContext) -> str:
    r"""The tables, to be \input; packages: booktabs, longtable, textcomp."""
    made = [
        figures.results_table(results), tables.regressions_table(results), growth_table(context.stress),
        tables.problems_table(results),
    ]  # fmt: skip
    head = "% \\usepackage{booktabs,longtable,textcomp}"
    return "\n\n".join([head, *(writers.latex_table(table) for table in made if table is not None)]) + "\n"


def _policy(script: str) -> str:
    """The page's Content-Security-Policy: no address at all may be loaded, sent to or called; one script may run."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=escape,  # noqa: S701 (off for Markdown alone, which has its own filters)
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=words.percent, duration=words.duration, times=words.times, md=writers.markdown_text, fence=code.fence,
        code=code.shown, table=writers.markdown_table,
    )  # fmt: skip
    return environment


def _visible(value: Any) -> Any:
    """What a template puts out: text of others without unseen characters, our own markup as it is."""
    return words.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _shared(results: Results, context: ReportContext) -> dict[str, Any]:
    """What both templates are given."""
    return {
        "title": context.title,
        "context": context,
        "results": results,
        "colours": [charts.model_colour(place) for place in range(len(results.models))],
        "models": [(model.name, charts.model_colour(place)) for place, model in enumerate(results.models)],
        "headlines": view.headlines(results),
        "results_table": figures.results_table(results),
        "regressions": tables.regressions_table(results),
        "problems": tables.problems_table(results),
        "verdicts": tables.verdicts_table(results),
        "verdict_groups": [(label, colour) for label, colour, _ in tables.VERDICT_GROUPS],
        "decision_groups": [(label, colour) for label, colour, _ in charts.DECISION_GROUPS],
        "examples": [(example, *code.side_by_side(example.quick, example.slow)) for example in context.examples],
        "growth": growth_table(context.stress),
        "judged_problems": tables.judged_problems(results),
        "quality": tables.quality_facts(results),
        "facts": flatten(context.facts),
        "host": flatten(context.host),
    }


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
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ("; " if any(isinstance(item, Mapping) for item in value) else ", ").join(map(_plain, value))
    return str(value)
