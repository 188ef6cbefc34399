"""The report as a browser shows it: on a phone, a desk and paper, light and dark, without a network, by keyboard."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fabricate_results import fabricate
from headless_browser import NAMES, Browser, find_browser

from harness.evaluation.results import evaluate
from harness.report import ReportContext, pick_examples
from harness.report.render import html
from harness.stress.records import StressResult, StressSolution

pytestmark = pytest.mark.browser

LONG = "a-model-with-a-name-that-has-no-place-to-break-and-is-longer-than-a-phone-is-wide-" * 2
VIEWS = {
    "phone-light": (390, 844, "light", True),
    "phone-dark": (390, 844, "dark", True),
    "desk-light": (1280, 900, "light", False),
    "desk-dark": (1280, 900, "dark", False),
}
# Every text node that shows, with its colour and the first background behind it that is not see-through.
CONTRASTS = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const paint = (under, colour) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const layer of [...under, colour]) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
    return Array.from(canvas.getImageData(0, 0, 1, 1).data.slice(0, 3));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const worst = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("script, svg, .unseen")) continue;
    const under = [];
    for (let e = element; e; e = e.parentElement) under.unshift(getComputedStyle(e).backgroundColor);
    const [a, b] = [light(paint(under, getComputedStyle(element).color)), light(paint(under, "transparent"))];
    worst.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.data.trim().slice(0, 40)]);
  }
  for (const text of document.querySelectorAll("svg text")) {
    const under = [document.body, text.closest("figure")].map((e) => getComputedStyle(e).backgroundColor);
    const fill = getComputedStyle(text).fill;
    if (fill === under[1]) {  // written on a bar
      text.scrollIntoView({ block: "center" });
      const box = text.getBoundingClientRect();
      const behind = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      const fills = behind.filter((e) => e.tagName === "path").map((e) => getComputedStyle(e).fill);
      under.push(fills.find((colour) => colour !== "none"));
    }
    const [a, b] = [light(paint(under, fill)), light(paint(under, "transparent"))];
    worst.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text.textContent]);
  }
  return worst.sort((a, b) => a[0] - b[0]);
})()
"""

# Pairs of texts of one chart that overlap, and texts that leave their chart.
TOUCHING = """
Array.from(document.querySelectorAll("figure svg"), (svg) => {
  const frame = svg.getBoundingClientRect();
  const boxes = Array.from(svg.querySelectorAll("text"), (t) => [t.textContent, t.getBoundingClientRect()]);
  const out = boxes.filter(([, b]) => b.left < frame.left - 1 || b.right > frame.right + 1).map(([text]) => text);
  const hits = boxes.flatMap(([one, a], place) => boxes.slice(place + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2).map(([other]) => one + " | " + other));
  return [...out, ...hits];
}).flat()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if os.environ.get("SKIP_BROWSER", "") not in ("", "0"):
        pytest.skip("SKIP_BROWSER is set")
    program = find_browser()
    if program is None:
        pytest.fail(
            f"no browser ({', '.join(NAMES)} or CODE_OPTIMISE_BROWSER): `make browser` installs one on Debian\n"
            "  or leave these tests out: SKIP_BROWSER=1",
            pytrace=False,
        )
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def _grown(task_id: str, reach: float, exponents: tuple[float, ...]) -> StressResult:
    """Solutions that grow like this over sizes from 10 to 10 times `reach`."""
    sizes = [10.0 * reach ** (step / 3) for step in range(4)]
    solutions = [
        StressSolution(f"s{number}", 9.0, sizes, [5.0 * n**e for n in sizes], e, e - 0.1, e + 0.1, ["linear"], "", [])
        for number, e in enumerate(exponents)
    ]
    return StressResult(task_id, "length", 5, round(sizes[-1]), 1.0, 12_345.0, solutions, [], [], "")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with all its parts, hostile and overlong names among them."""
    data = fabricate(problems=40, models=("base", "sft-25", LONG))
    results = evaluate(data.problems, data.samples, data.executions, data.labels, data.models, blocks=(3, 420))
    # Ends of curves that lie far apart, close together and on each other; short and long axes.
    stress = [
        _grown(f"a-problem-with-a-long-name/{n}", 10.0**reach, exponents)
        for n, (reach, exponents) in enumerate([(6, (1.0, 2.0)), (0.4, (1.0, 1.1)), (3, (1.0, 1.0)), (2, (0.1, 4.0))])
    ]
    context = ReportContext(
        title="Demo",
        data="starter",
        split="test",
        examples=pick_examples(data.problems, data.samples, data.executions, data.labels, data.models),
        stress=stress,
        warnings=[f"{LONG} was timed apart"],
        host={"system": "Linux", LONG: LONG},
        facts={"command": "<img src=https://example.org/x.png>", "script": "</script><script>document.title = 1"},
        command=f"code-optimise eval --save_path {LONG}",
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html(results, context))
    return path


@pytest.mark.parametrize("view", VIEWS)
def test_it_fits_the_window_and_can_be_read(browser: Browser, report: Path, tmp_path: Path, view: str) -> None:
    width, height, scheme, mobile = VIEWS[view]
    browser.show(width, height, scheme, mobile=mobile)
    browser.open(report)
    for opened in (False, True):
        browser.value(f"document.querySelectorAll('details').forEach((d) => (d.open = {str(opened).lower()}))")
        assert browser.value("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    sizes = browser.value("Array.from(document.querySelectorAll('figure svg'), (s) => s.getBoundingClientRect().width)")
    assert len(sizes) == 5
    assert all(0.7 * min(width, 440) < size <= width for size in sizes)
    contrasts = browser.value(CONTRASTS)
    assert len(contrasts) > 500
    assert [pair for pair in contrasts if pair[0] < 4.5] == []
    assert browser.screenshot(tmp_path / f"{view}.png").startswith(b"\x89PNG")


def test_texts_in_charts_stay_apart_and_inside(browser: Browser, report: Path) -> None:
    for view in ("phone-light", "desk-light"):
        width, height, scheme, mobile = VIEWS[view]
        browser.show(width, height, scheme, mobile=mobile)
        browser.open(report)
        assert browser.value(TOUCHING) == []


def test_a_table_that_is_wider_than_a_phone_keeps_its_first_column(browser: Browser, report: Path) -> None:
    browser.show(390, 844, "light", mobile=True)
    browser.open(report)
    browser.value("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    for table in ("table.results", "table.sortable"):
        found = browser.value(
            f"(() => {{ const scroll = document.querySelector('{table}').closest('.scroll'); scroll.scrollLeft = 1e4;"
            " const head = scroll.querySelector('tbody th').getBoundingClientRect();"
            " return [scroll.scrollLeft > 0, head.left - scroll.getBoundingClientRect().left, head.width]; })()"
        )
        scrolled, left, width = found
        assert scrolled
        assert abs(left) <= 1
        assert 80 < width < 160


def test_light_and_dark_differ_in_the_page_and_in_its_charts(browser: Browser, report: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        browser.show(800, 900, scheme)
        browser.open(report)
        seen[scheme] = browser.value(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('figure svg text')).fill]"
        )
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"], strict=True))


def test_it_asks_the_network_for_nothing_and_would_not_be_let(browser: Browser, report: Path) -> None:
    browser.requests.clear()
    browser.complaints.clear()
    browser.show(390, 844, "light")
    browser.open(report)
    assert browser.requests == [report.resolve().as_uri()]
    assert browser.complaints == []
    assert browser.value("document.title") == "Demo"
    refused = browser.value("fetch('https://example.org/').then(() => 'sent', () => 'refused')")
    assert refused == "refused"
    browser.value("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))")
    browser.value("document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 2'}))")
    assert browser.value("document.title") == "Demo"
    violations = [text for text in browser.complaints if "Content Security Policy" in text]
    assert len(violations) >= 3, browser.complaints


def _column(browser: Browser, place: int) -> list[float | None]:
    cells = browser.value(
        f"Array.from(document.querySelectorAll('.problems tbody tr'), (r) => r.cells[{place}].dataset.value ?? null)"
    )
    return [None if cell is None else float(cell) for cell in cells]


def test_problems_sort_by_a_click_and_by_keyboard(browser: Browser, report: Path) -> None:
    browser.show(1280, 900, "light")
    browser.open(report)
    browser.value("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    heads = browser.value("Array.from(document.querySelectorAll('.problems th[scope=col]'), (h) => h.textContent)")
    place = heads.index("Run time")
    before = _column(browser, place)
    known = sorted(value for value in before if value is not None)
    missing = [None] * (len(before) - len(known))
    assert len(known) > 30
    assert before != known + missing
    button = f"document.querySelectorAll('.problems th[scope=col]')[{place}].querySelector('button')"
    browser.value(f"{button}.click()")
    assert _column(browser, place) == known + missing
    browser.value(f"{button}.focus()")
    browser.press("Enter", 13, "\r")
    assert _column(browser, place) == known[::-1] + missing  # unknown times stay at the end
    states = browser.value("Array.from(document.querySelectorAll('.problems th[aria-sort]'), (h) => h.ariaSort)")
    assert states == ["descending"]
    browser.press("Tab", 9)
    browser.press(" ", 32, " ")
    states = browser.value(
        "Array.from(document.querySelectorAll('.problems th[aria-sort]'), (h) => [h.ariaSort, h.textContent])"
    )
    assert states == [["ascending", heads[place + 1]]]
    names = "Array.from(document.querySelectorAll('.problems tbody th'), (h) => h.textContent)"
    browser.value("document.querySelector('.problems th[scope=col] button').click()")
    assert browser.value(names) == sorted(browser.value(names))


def test_without_scripts_it_is_whole(browser: Browser, report: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.show(1280, 900, "light")
        browser.open(report)
        found = browser.value("[document.querySelectorAll('.problems tbody tr').length,"
                              " document.querySelectorAll('button').length,"
                              " document.querySelector('.with-script').checkVisibility()]")  # fmt: skip
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert found == [40, 0, False]


def test_tables_and_charts_are_named_for_those_who_do_not_see_them(browser: Browser, report: Path) -> None:
    browser.show(1280, 900, "light")
    browser.open(report)
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    by_role: dict[str, list[str]] = {}
    for node in tree:
        name = node.get("name", {}).get("value", "")
        by_role.setdefault(node.get("role", {}).get("value", ""), []).append(name)
    assert len(by_role["image"]) == 5
    assert all(by_role["image"])
    assert {"Results", "Regressions"} <= set(by_role["table"])
    assert all(by_role["rowheader"])
    assert {"Matchedspeed-up↑", "pass@1↑"} <= {name.replace(" ", "") for name in by_role["rowheader"]}
    assert {"Demo", "Results", "Regressions", "Charts", "Examples", "Details"} <= set(by_role["heading"])


def test_paper_shows_what_a_screen_folds_away(browser: Browser, report: Path, tmp_path: Path) -> None:
    browser.show(794, 1123, "dark", media="print")
    browser.open(report)
    shown = browser.value(
        "[getComputedStyle(document.body).backgroundColor, document.documentElement.scrollWidth <= innerWidth,"
        " document.querySelector('.problems').checkVisibility({contentVisibilityAuto: true})]"
    )
    assert shown[0] == "rgb(255, 255, 255)"
    data = browser.pdf(tmp_path / "report.pdf")
    assert data.startswith(b"%PDF")
    folded = len(re.findall(rb"/Type\s*/Page\b", data))
    browser.value("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    opened = len(re.findall(rb"/Type\s*/Page\b", browser.pdf(tmp_path / "open.pdf")))
    assert folded == opened >= 3
    assert shown[1:] == [True, True]
