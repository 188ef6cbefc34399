"""The report: complete, self-contained, harmless whatever the model wrote, and one set of numbers in all its forms."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fabricate_results import fabricate
from rich.console import Console

from harness.evaluation.results import Results, evaluate, from_json
from harness.report import Example, ReportContext, charts, console_table, pick_examples, render, view, words
from harness.report.render import flatten, html, markdown

HOSTILE = "</script><img src=x onerror=alert(1)> ``` {{ 7 * 7 }} ]]> --> </style></pre>\x1b[31m\n    return 1"
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


def test_render_writes_three_files_that_are_the_same_every_time(tmp_path: Path) -> None:
    first = render(RESULTS, _context(), tmp_path / "a")
    second = render(RESULTS, _context(), tmp_path / "b")
    for name in ("results_json", "report_md", "report_html"):
        assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes()
    assert from_json(first.results_json.read_text()) == RESULTS
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["report.html", "report.md", "results.json"]


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|xmlns|xlink|<script|<link", page)
    parsed = _Page(page)
    for tag, attributes in parsed.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#"), tag
    assert ("meta", "default-src 'none'; style-src 'unsafe-inline'") in [
        (tag, attributes.get("content")) for tag, attributes in parsed.tags
    ]


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
    assert "script" not in names
    assert not any(key.startswith("on") for _, attributes in parsed.tags for key in attributes)
    assert parsed.text.count("<img src=x onerror=alert(1)>") >= 10
    assert "{{ 7 * 7 }}" in parsed.text
    assert "\x1b" not in "".join(re.findall(r"<pre.*?</pre>", text, flags=re.DOTALL))
    plain = re.sub(r"^(`{3,})python\n.*?^\1$", "", markdown(results, context), flags=re.DOTALL | re.MULTILINE)
    assert "<" not in plain
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w"))
    console.print(console_table(results))
    assert "onerror" in console.export_text()


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
    for row in view.lines(RESULTS):
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


def test_dots_stay_inside_their_row() -> None:
    ratios = sorted([1.0] * 400 + [1.1, 1.1, 2.0])
    offsets = charts.stacked(ratios, 0.8, 2.2)
    assert max(map(abs, offsets)) <= 0.3
    assert offsets[-1] == 0.0
    assert len(set(offsets[:400])) == 400


def test_words() -> None:
    assert [words.duration(v) for v in (0.4, 999.7, 1234.5, 45_600.0, 9.9995e6, 3e9)] == [
        "0.40 ns", "1.00 µs", "1.23 µs", "45.6 µs", "10.0 ms", "3.00 s",
    ]  # fmt: skip
    assert [words.points(v) for v in (0.0233, -0.0233, 0.0001, -0.0001)] == ["+2.3", words.MINUS + "2.3", "0.0", "0.0"]
    assert [words.probability(p) for p in (None, 0.0001, 0.031, 0.5)] == ["p –", "p < 0.001", "p = 0.031", "p = 0.50"]
    assert [words.some(n, "problems") for n in (0, 1, 1200)] == ["0 problems", "1 problem", "1,200 problems"]
    assert (words.times(1.304), words.times(0.0123)) == ("1.30×", "0.0123×")
    assert flatten({"a": {"b": None, "c": True}, "d": [1, "x"]}) == [("a.b", "unknown"), ("a.c", "yes"), ("d", "1, x")]
