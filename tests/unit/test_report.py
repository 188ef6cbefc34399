"""The report: complete, self-contained, harmless whatever the model wrote, and one set of numbers in all its forms."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fabricate_results import fabricate
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.evaluation.results import Results, evaluate, from_json
from harness.report import (
    Example,
    GrowthCurve,
    ReportContext,
    charts,
    code,
    console_regressions,
    console_table,
    figures,
    pick_examples,
    render,
    tables,
    view,
    words,
)
from harness.report.growth import growth_table
from harness.report.render import flatten, html, latex, markdown
from harness.report.view import Cell
from harness.report.writers import latex_text, markdown_table
from harness.stress.records import StressResult, StressSolution

HOSTILE = (
    "</script><img src=x onerror=alert(1)> ``` {{ 7 * 7 }} ]]> --> </style></pre>\x1b[31m\n    return 1"
    " \\input{/etc/passwd} $x^2_i$ #1 & 50% ~ \u202egnp.exe\u2066 \ud800 |a| [b](javascript:alert(2))"
)
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
DATA = fabricate()
RESULTS = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models, blocks=(3, 420))


def _context(**other: object) -> ReportContext:
    examples = pick_examples(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models)
    base = {"title": "Demo", "data": "starter", "split": "test", "examples": examples, "command": "make eval"}
    return ReportContext(**{**base, **other})  # type: ignore[arg-type]


class _Page(HTMLParser):
    """Tags with their attributes, texts of the cells of the table of results, and all text."""

    void = frozenset({"meta", "img", "link", "input", "br", "path", "use"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self._results = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self._open.append(tag)
        if tag == "table":
            self._results = dict(attrs).get("class") == "results"
        if self._results and tag == "tr":
            self.rows.append([])
        if self._results and tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert not self._open or tag in self.void or self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        if tag not in self.void:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._results and "table" in self._open and self._open[-1] != "table" and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def page() -> str:
    return html(RESULTS, _context())


def test_render_writes_files_that_are_the_same_every_time(tmp_path: Path) -> None:
    first = render(RESULTS, _context(), tmp_path / "a")
    second = render(RESULTS, _context(), tmp_path / "b")
    for name in ("results_json", "report_md", "report_html", "report_tex"):
        assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes()
    assert from_json(first.results_json.read_text()) == RESULTS
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "report.html", "report.md", "report.tex", "results.json",
    ]  # fmt: skip


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|xmlns|xlink|<link", page)
    parsed = _Page(page)
    for tag, attributes in parsed.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#"), tag
    policies = [a["content"] for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    wanted = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
    assert policies == [f"{wanted}base-uri 'none'; form-action 'none'"]


def test_ids_are_unique_and_references_lead_somewhere(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert wanted
    assert wanted <= set(ids)


def test_charts_take_all_their_colours_from_the_page(page: str) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert drawn.count("<svg") == 4
    assert not re.search(r"#[0-9a-f]{6}\b|rgb\(", drawn)
    used, style = set(re.findall(r"var\(--([\w-]+)\)", page)), page[: page.index("</style>")]
    for scheme in style.split(":root {")[1:]:
        assert used - {"tint", "bg", "soft"} <= set(re.findall(r"--([\w-]+):", scheme.split("}")[0]))
    assert style.count(":root {") == 3  # light, dark, print


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    bad = Example(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1.0, 2.0, 2.0, 1.9, 2.1, 5)
    data = fabricate(problems=6, n_seq=4, models=("base", f"x{HOSTILE}$\\frac"))
    results = evaluate(data.problems, data.samples, data.executions, data.labels, data.models)
    context = _context(title=HOSTILE, data=HOSTILE, split=HOSTILE, examples=[bad], command=HOSTILE,
                       facts={HOSTILE: HOSTILE}, host={"cpu": {HOSTILE: HOSTILE}})  # fmt: skip
    text = html(results, context)
    parsed = _Page(text)
    names = {tag for tag, _ in parsed.tags}
    assert "img" not in names
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert not any(key.startswith("on") for _, attributes in parsed.tags for key in attributes)
    assert parsed.text.count("<img src=x onerror=alert(1)>") >= 10
    assert "{{ 7 * 7 }}" in parsed.text
    plain = re.sub(r"^(`{3,})python\n.*?^\1$", "", markdown(results, context), flags=re.DOTALL | re.MULTILINE)
    assert "<" not in plain
    assert not re.search(r"(?<!\\)\]\(javascript", plain)
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w"))
    console.print(console_table(results))
    terminal = console.export_text()
    assert "onerror" in terminal
    written = render(results, context, tmp_path / "report")  # a lone surrogate could not even be written
    for shown in (text, plain, terminal, latex(results, context), written.report_html.read_text()):
        assert not UNSEEN.search(shown)


def test_rows_of_markdown_have_as_many_cells_as_columns_whatever_the_names() -> None:
    data = fabricate(problems=6, n_seq=4, models=("ba|se", HOSTILE))
    problems = [replace(problem, task_id=problem.task_id + HOSTILE) for problem in data.problems]
    named = [replace(row, task_id=row.task_id + HOSTILE) for row in data.samples]
    rows = [replace(row, task_id=row.task_id + HOSTILE) for row in data.executions]
    results = evaluate(problems, named, rows, {}, data.models)
    for table in (figures.results_table(results), tables.problems_table(results), tables.verdicts_table(results)):
        for line in markdown_table(table).splitlines():
            assert len(re.findall(r"(?<!\\)\|", line)) == len(table.heads) + 2


@given(st.text())
def test_nothing_in_text_is_a_command_to_latex(text: str) -> None:
    escaped = latex_text(text)
    assert all(c.isascii() or "\u00c0" <= c <= "\u017e" for c in escaped)
    assert "--" not in escaped
    known = r"\\(?:text[a-z]+|ldots)\{\}|\\[{}$&#_%]|\$(?:\\[a-z]+|-)\$|\{\[\}|\{\]\}|-\{\}"
    assert not set(re.sub(known, "", escaped)) & set("\\{}$&#_%~^<>[]\n")


def test_latex_tables_are_whole() -> None:
    text = latex(RESULTS, _context())
    found = re.findall(r"\\begin\{longtable\}\{@\{\}([lr]+)@\{\}\}(.*?)\\end\{longtable\}", text, flags=re.DOTALL)
    assert len(found) == text.count(r"\begin") == text.count(r"\end{longtable}") == 3
    for columns, body in found:
        lines = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert len(lines) > 5
        for line in lines:
            wide = sum(int(number) - 1 for number in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + wide == len(columns)


def test_numbers_agree_in_html_markdown_terminal_and_json(page: str, tmp_path: Path) -> None:
    rows = {row[0].rstrip("↑↓"): row[1:] for row in _Page(page).rows[1:]}
    lines = [line.split("|")[1:-1] for line in markdown(RESULTS, _context()).splitlines() if line.startswith("| ")]
    table = {line[0].strip().rstrip("↑↓ "): [cell.replace("\\", "") for cell in line[1:]] for line in lines}
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w"))
    console.print(console_table(RESULTS))
    terminal = console.export_text()
    data = json.loads(render(RESULTS, _context(), tmp_path).results_json.read_text())

    def shown(figure: dict[str, float], show: object) -> list[str]:
        assert callable(show)
        return [show(figure["value"]), f"[{show(figure['low'])}, {show(figure['high'])}]", f"n = {figure['n']}"]

    wanted = [("Matched speed-up", place + 1, shown(c["speedup"]["figure"], lambda v: f"{v:.2f}×"))
              for place, c in enumerate(data["comparisons"])]  # fmt: skip
    for place, model in enumerate(data["models"]):
        for k, figure in model["pass_at_k"].items():
            wanted.append((f"pass@{k}", place, shown(figure, lambda v: f"{100 * v:.1f}%")))
    assert len(wanted) == 11
    for label, place, texts in wanted:
        for text in texts:
            assert text in rows[label][place]
            assert text in table[label][place]
            assert text in terminal
    for row in figures.results_table(RESULTS).rows:
        for place, cell in enumerate(row.cells):
            for text in (cell.main, cell.interval, cell.n, cell.note, cell.against):
                assert text in rows[row.label][place]
                assert text in table[row.label][place].replace("&lt;", "<")


def test_headlines_say_only_what_was_shown() -> None:
    sft, dpo = view.headlines(RESULTS)
    assert (sft.tone, dpo.tone) == ("better", "better")
    assert "less run time than base's" in dpo.sentence
    assert "no difference shown" in sft.correct
    assert "no difference shown" not in dpo.correct
    names = ("base", "same-skill")
    data = fabricate(models=names, problems=80)
    (even,) = view.headlines(evaluate(data.problems, data.samples, data.executions, data.labels, names))
    assert even.tone == ""
    assert even.sentence.startswith("No difference in run time from base is shown")
    slower = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, ("dpo-qvs", "base"))
    assert view.headlines(slower)[0].tone == "worse"
    assert "more run time than dpo-qvs's" in view.headlines(slower)[0].sentence


def _odd(name: str) -> Results:
    models = ("base",) if name == "one model" else tuple(f"m{i}$_" for i in range(9)) if name == "nine" else DATA.models
    size = {"tiny": 1, "nine": 7}.get(name, 12)
    data = fabricate(problems=size, n_seq=3, models=models)
    labels = {} if name == "no labels" else data.labels
    executions = [] if name == "nothing ran" else data.executions
    return evaluate(data.problems, data.samples, executions, labels, models)


@pytest.mark.parametrize("name", ["one model", "tiny", "nine", "no labels", "nothing ran"])
def test_odd_results_still_make_a_report(name: str, tmp_path: Path) -> None:
    results = _odd(name)
    written = render(results, ReportContext("t", "d", "s"), tmp_path)
    parsed = _Page(written.report_html.read_text())
    assert not re.search(r"\b(nan|inf|None)\b", parsed.text)
    assert not re.search(r"\b(nan|inf|None)\b", written.report_md.read_text())
    Console(file=(tmp_path / "out").open("w")).print(console_table(results))


def test_examples_are_decided_pairs_of_different_problems() -> None:
    examples = pick_examples(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models, count=5)
    assert len({example.task_id for example in examples}) == len(examples) == 5
    assert [e.low for e in examples] == sorted((e.low for e in examples), reverse=True)
    assert all(e.quick_ns < e.slow_ns and e.quick_model != "base" and e.slow_model == "base" for e in examples)
    assert pick_examples(DATA.problems, DATA.samples, [], DATA.labels, DATA.models) == []


def test_regressions_come_first_and_are_all_told() -> None:
    table = tables.regressions_table(RESULTS)
    assert table is not None
    wanted = sum(comparison.speedup.slower + comparison.lost for comparison in RESULTS.comparisons)
    assert len(table.rows) == wanted <= tables.MAX_REGRESSIONS
    ratios = [row.cells[1].value for row in dict(table.groups)["Slower"]]
    assert ratios == sorted(ratios)
    assert max(ratios) <= 1 / 1.1
    problems = tables.problems_table(RESULTS)
    places = [place for place, head in enumerate(problems.heads) if head.label == "Speed-up"]
    worst = [min((row.cells[p].value or 9.9 for p in places), default=9.9) for row in problems.rows]
    assert len(places) == 2
    assert worst == sorted(worst)
    alone = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, ["base"])
    assert tables.regressions_table(alone) is None


def test_figures_that_an_evaluation_lacks_have_no_row() -> None:
    limited = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models, limit_ns=5e9)
    labels = [row.label for row in figures.results_table(limited).rows]
    assert {"eff@1", "Beyond", "DPS", "Expected time, failures as the limit", "Peak memory"} <= set(labels)
    assert not [label for label in labels if "eld-out" in label]
    row = next(row for row in figures.results_table(limited).rows if row.label == "Peak memory")
    assert row.cells[0].main == "10.5 MiB"
    assert row.cells[1].against.startswith("1.00× the base's")
    old = replace(
        limited,
        models=[replace(model, efficiency=None, held_out=None) for model in limited.models],
        comparisons=[replace(one, efficiency=None, held_out=None) for one in limited.comparisons],
    )
    kept = figures.results_table(old)
    assert "Efficiency" not in dict(kept.groups)
    efficiency = [r.label for r in dict(figures.results_table(limited).groups)["Efficiency"]]
    assert [r.label for r in kept.rows] == [label for label in labels if label not in efficiency]


def test_held_out_tests_that_were_run_are_told() -> None:
    problems = [replace(problem, held_out="def check(candidate): ...") for problem in DATA.problems]
    passed = [row for row in DATA.executions if row.verdict == "PASSED"]
    held_out = [replace(row, verdict="WRONG" if row.model == "base" and row.sample_id % 4 == 0 else "PASSED")
                for row in passed]  # fmt: skip
    results = evaluate(problems, DATA.samples, DATA.executions, DATA.labels, DATA.models, held_out=held_out)
    rows = dict(figures.results_table(results).groups)["Held-out tests"]
    assert [row.label for row in rows] == ["Held-out gap", *(f"pass@{k}, held-out too" for k in (1, 5, 10))]
    base, sft, _ = rows[0].cells
    assert float(base.main.rstrip("%")) > 5
    assert sft.main == "0.0%"
    assert sft.tone == "better"


def test_more_regressions_than_fit_leave_room_for_both_kinds() -> None:
    data = fabricate(problems=120, n_seq=2, models=("dpo-qvs", "base"))
    results = evaluate(data.problems, data.samples, data.executions, data.labels, data.models)
    table = tables.regressions_table(results)
    assert table is not None
    (comparison,) = results.comparisons
    assert comparison.speedup.slower + comparison.lost > tables.MAX_REGRESSIONS == len(table.rows)
    assert {label for label, _ in table.groups} == {"Slower", "No longer solved"}
    assert f"{comparison.speedup.slower + comparison.lost - tables.MAX_REGRESSIONS} rows more" in table.note


def test_a_model_without_regressions_says_so(tmp_path: Path) -> None:
    copies = [replace(s, model="copy") for s in DATA.samples if s.model == "base"]
    rows = [replace(r, model="copy") for r in DATA.executions if r.model == "base"]
    results = evaluate(
        DATA.problems, [*DATA.samples, *copies], [*DATA.executions, *rows], DATA.labels, ["base", "copy"]
    )
    assert console_regressions(results) is None
    assert "No problem is slower by 10% or more than base" in html(results, _context())
    assert "No problem is slower by 10% or more than base" in markdown(results, _context())
    assert r"\multicolumn{7}{l}{none}" in latex(results, _context())


def test_a_difference_of_code_is_marked_on_both_sides() -> None:
    quick, slow = code.side_by_side("    a = 1\n    return sum(a)\n", "    a = 1\n    b = 2\n    return a\n")
    assert [(line.text, line.mark) for line in quick] == [("a = 1", ""), ("return sum(a)", "+")]
    assert [(line.text, line.mark) for line in slow] == [("a = 1", ""), ("b = 2", "-"), ("return a", "-")]
    alike, _ = code.side_by_side("return 1", "return 1")
    assert [line.mark for line in alike] == [""]
    begin = time.monotonic()
    long, _ = code.side_by_side("x\n\ny\n" * 100_000, "y\nx\n" * 100_000)
    assert time.monotonic() - begin < 2
    assert len(long) <= code.MAX_LINES + 1
    assert long[-1].text.endswith("more characters]")


def _curve(task_id: str, exponent: float | None, *sizes: float) -> GrowthCurve:
    return GrowthCurve(task_id, f"s{exponent}", sizes, [3.0 * size ** (exponent or 1) for size in sizes], exponent)


def _grown(task_id: str, *exponents: float, laws: Sequence[str] = ("linear",), why: str = "") -> StressResult:
    """A problem whose solutions grow like this, whose first and last lie apart by their gap."""
    sizes = [10.0, 100.0, 1000.0]
    solutions = [
        StressSolution(f"s{e}", 50.0, sizes, [3.0 * n**e for n in sizes], e, e - 0.1, e + 0.1, list(laws), "", [])
        for e in exponents
    ]
    apart = 1 + 2 * (exponents[-1] - exponents[0]) if exponents else None
    return StressResult(task_id, "length", 5, 1000 if exponents else None, 1.0, apart, solutions, [], ["x"], why)


def test_growth_shows_the_problems_whose_solutions_grow_apart() -> None:
    curves = [_curve(f"p{n}", e, 10, 100, 1000) for n in range(6) for e in (1.0, 1.0 + n / 4)]
    drawn = charts.growth([*curves, _curve("alone", 3.0, 1, 2), _curve("unknown", None, 1, 2), _curve("p9", 2.0, 7)])
    assert [name for name in ("p1", "p2", "p3", "p4", "p5", "alone", "unknown") if name in drawn] == [
        "p2", "p3", "p4", "p5",
    ]  # fmt: skip
    assert "n^2.2" in drawn
    assert "n^1.0" in drawn
    assert "var(--bad)" in drawn
    assert charts.growth([]) == charts.growth([_curve("alone", 3.0, 1, 2)]) == ""
    steep = charts.growth([_curve("p", 1.0, 10, 100), replace(_curve("p", 9.0, 10, 100), exponential=True)])
    assert "exponential" in steep
    assert "n^9.0" not in steep


def test_growth_is_told_problem_by_problem_with_its_intervals() -> None:
    stress = [_grown("close", 1.0, 1.1), _grown("far", 1.0, 2.0, laws=("n sqrt n", "quadratic")),
              _grown("open", 0.5, laws=("a", "b", "c", "d")), _grown("power", 4.0, laws=("exponential",)),
              _grown("none", why="no call of literals")]  # fmt: skip
    table = growth_table(stress)
    assert table is not None
    assert [row.label for row in table.rows] == ["far", "close", "open", "power"]
    cells = {row.label: dict(zip([head.label for head in table.heads], row.cells, strict=True)) for row in table.rows}
    assert cells["far"]["Grows most"] == Cell("n^2.0", "[1.90, 2.10]", note="n sqrt n, quadratic", value=2.0)
    assert cells["far"]["Apart, larger"].main == "3.00×"
    assert cells["open"]["Grows least"].note == ""  # four laws are none
    assert cells["power"]["Grows most"].main == "exponential"
    assert "1 problem without larger inputs: 1 no call of literals" in table.note
    context = _context(stress=stress)
    assert "[1.90, 2.10]" in html(RESULTS, context)
    assert "Growth with the input" in markdown(RESULTS, context)
    assert r"\label{tab:growth}" in latex(RESULTS, context)
    for shown in (html(RESULTS, _context()), markdown(RESULTS, _context()), latex(RESULTS, _context())):
        assert "Growth with the input" not in shown
    assert growth_table([]) is growth_table(stress[-1:]) is None


@given(st.floats(-3.0, 12.0), st.floats(0.1, 9.0))
def test_a_logarithmic_axis_has_a_few_round_ticks(low: float, decades: float) -> None:
    ticks = charts.log_ticks(10**low, 10 ** (low + decades))
    assert 2 <= len(ticks) <= charts.MOST_TICKS
    assert all(10**low <= tick <= 10 ** (low + decades) for tick in ticks)
    assert all(float(f"{tick:.2g}") == pytest.approx(tick, rel=1e-12) for tick in ticks)


def test_larger_inputs_have_rows_where_they_were_made() -> None:
    task = next(p.task_id for p in RESULTS.problems if all(p.models[name].passed for name in DATA.models))
    ids = sorted({r.solution_id for r in DATA.executions if r.task_id == task and r.verdict == "PASSED"})
    solutions = [StressSolution(one, 9.0, [10.0], [9.0], None, None, None, [], "", []) for one in ids]
    stress = [StressResult(task, "length", 5, 10, 1.0, 1.0, solutions, [], ids[:1], "")]
    results = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models, stress=stress)
    rows = dict(figures.results_table(results).groups)["Larger inputs"]
    assert [row.label for row in rows] == [
        "Speed-up, larger inputs", "Speed-up of the same pairs, own calls", "Right on small inputs only",
    ]  # fmt: skip
    passing = [r for r in DATA.executions if r.task_id == task and r.verdict == "PASSED" and r.model == "base"]
    small = sum(r.solution_id == ids[0] for r in passing)
    assert (rows[2].cells[0].main, rows[2].cells[0].n) == (str(small), words.some(len(passing), "passing samples"))
    assert "Larger inputs" not in dict(figures.results_table(RESULTS).groups)


def test_problems_that_nobody_was_sampled_on_are_counted_only() -> None:
    few = [row for row in DATA.samples if row.task_id in {p.task_id for p in DATA.problems[:9]}]
    results = evaluate(DATA.problems, few, DATA.executions, DATA.labels, DATA.models)
    table = tables.problems_table(results)
    assert len(table.rows) == 9
    assert "51 problems without judged samples left out" in table.note
    assert "9 of 60 problems" in html(results, _context())


def test_the_quality_of_the_measurement_is_whole() -> None:
    flags = {"waits": 2, "failed:TIMEOUT_CPU": 1}
    results = replace(RESULTS, quality=replace(RESULTS.quality, flags=flags))
    facts = dict(tables.quality_facts(results))
    assert facts["Flagged solutions"].main == "2 wait instead of working (waits); 1 failed: TIMEOUT_CPU"
    aa = RESULTS.quality.aa
    assert aa is not None
    interval = facts["Base against itself, speed-up"].interval
    assert interval == f"[{words.times(aa.speedup.low or 0)}, {words.times(aa.speedup.high or 0)}]"
    assert interval in html(results, _context())
    assert interval in markdown(results, _context()).replace("\\", "")


def test_a_difference_that_only_the_interval_shows_is_said_to_be_that() -> None:
    comparison = RESULTS.comparisons[1]
    doubted = replace(comparison, speedup=replace(comparison.speedup, p_holm=0.2))
    (headline,) = view.headlines(replace(RESULTS, comparisons=[doubted]))
    assert headline.tone == ""
    assert headline.sentence.endswith("The interval leaves out 1×, but the sign-flip test does not agree.")


def test_warnings_stand_before_the_figures() -> None:
    context = _context(warnings=["these were <timed> apart"])
    for text in (html(RESULTS, context), markdown(RESULTS, context)):
        assert 0 < text.index("these were &lt;timed&gt; apart") < text.index("Matched speed")


def test_words() -> None:
    assert [words.duration(v) for v in (0.4, 999.7, 1234.5, 45_600.0, 9.9995e6, 3e9)] == [
        "0.40 ns", "1.00 µs", "1.23 µs", "45.6 µs", "10.0 ms", "3.00 s",
    ]  # fmt: skip
    assert [words.points(v) for v in (0.0233, -0.0233, 0.0001, -0.0001)] == ["+2.3", words.MINUS + "2.3", "0.0", "0.0"]
    assert [words.probability(p) for p in (None, 0.0001, 0.031, 0.5)] == ["p –", "p < 0.001", "p = 0.031", "p = 0.50"]
    assert [words.some(n, "problems") for n in (0, 1, 1200)] == ["0 problems", "1 problem", "1,200 problems"]
    assert (words.times(1.304), words.times(0.0123)) == ("1.30×", "0.0123×")
    assert flatten({"a": {"b": None, "c": True}, "d": [1, "x"]}) == [("a.b", "unknown"), ("a.c", "yes"), ("d", "1, x")]
    listed = flatten({"warnings": [{"name": "cores", "found": 1}, {"name": "steal"}]})
    assert listed == [("warnings", "name: cores, found: 1; name: steal")]
    assert [words.times(v) for v in (99.99, 99.999, 12_345.6)] == ["99.99×", "100×", "12,346×"]
    assert [words.magnitude(v) for v in (3, 300, 2e3, 5e4, 1e6, 1e12)] == ["3", "300", "2k", "50k", "1M", "1e12"]
    assert [words.round_duration(v) for v in (3, 2e3, 1e5, 1e6, 1e10)] == ["3 ns", "2 µs", "100 µs", "1 ms", "10 s"]
    assert words.plain(-1.234, 2) == words.MINUS + "1.23"
