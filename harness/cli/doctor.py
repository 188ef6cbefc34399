"""`doctor`: look at the machine, try what must be tried, judge, show. `doctor --sandbox`: attack the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.core_locks import claim, read_siblings
from harness.doctor.checks import examine, exit_code
from harness.doctor.facts import AaFacts, MachineFacts
from harness.doctor.look import look
from harness.doctor.show import print_table, to_json
from harness.errors import UserError
from harness.placement import place
from harness.progress import Reporter
from sandbox import Sandbox, allowed_cores
from sandbox.conformance import CATEGORIES, LIMITS, Attack, Report, Result, load_attacks, run_suite

# Runtimes with a kernel of their own on top: timings there say nothing, so attacks on timings neither.
NOT_FOR_TIMING = ("runsc",)
WATCH_SECONDS = 1.0
COLUMNS = {
    "attempted": "attempted",
    "forged": "forged",
    "escapes": "escape",
    "survivors": "survivor",
    "spoiled": "spoiled",
    "verdicts": "verdict",
    "times": "timing",
    "vacuous": "vacuous",
}
LEGEND = (
    "spoiled: harmed an honest run beside it · verdicts: not passed, but judged wrongly · "
    "times: untrue and not noticed · vacuous: did not really attack"
)


def run(root: Path, reporter: Reporter, *, as_json: bool, aa: bool) -> int:
    """Print the findings to standard output; the exit code. aa: with the A/A run."""
    facts = examined(root, reporter, aa=aa)
    findings = examine(facts)
    if as_json:
        print(to_json(findings, facts))
    else:
        print_table(findings, facts, Console())
    return exit_code(findings)


def examined(root: Path, reporter: Reporter, *, aa: bool) -> MachineFacts:
    """All facts. What has to be tried is tried on a core that no other run holds, and held as by a run."""
    siblings = read_siblings()
    with ExitStack() as stack:
        try:
            (core,) = stack.enter_context(claim(place(allowed_cores(), siblings).timing, most=1, siblings=siblings))
        except UserError as taken:  # a machine at work is nothing to mend
            facts = look(root, core=None, watch_seconds=WATCH_SECONDS)
            return replace(facts, aa=AaFacts(error=f"not made: {taken.what}"))
        facts = look(root, core=core, watch_seconds=WATCH_SECONDS)
        return replace(facts, aa=_aa(facts, core, reporter) if aa else AaFacts(error="left out (--no-aa)"))


def _aa(facts: MachineFacts, core: int, reporter: Reporter) -> AaFacts:
    if facts.lockdown is None or facts.lockdown.error:
        return AaFacts(error="not made: that takes the engine, the image and a lock-down that holds")
    from harness.doctor.aa import run_aa

    return run_aa(core, reporter)


def attack(runtime: str | None, cores: Sequence[int] | None, reporter: Reporter, *, as_json: bool) -> int:
    """Run every hostile program in the sandbox and print the report to standard output; 1 if anything was found."""
    attacks, siblings = load_attacks(), read_siblings()
    wanted, most = (cores, None) if cores else (allowed_cores()[::-1], 1)
    with claim(wanted, needed=wanted if cores else (), most=most, siblings=siblings, warn=reporter.warn) as ours:
        report = _attacked(attacks, ours, runtime, reporter)
    if as_json:
        print(report.to_json())
    else:
        print_report(report, Console())
    return 0 if report.ok else 1


def _attacked(attacks: Sequence[Attack], cores: Sequence[int], runtime: str | None, reporter: Reporter) -> Report:
    found = 0
    with reporter.task("attack the sandbox", len(attacks) * len(cores), unit="programs") as task:

        def progress(result: Result) -> None:
            nonlocal found
            found += bool(result.findings)
            task.advance(note=f"{found} with findings · {result.attack}" if found else result.attack)

        return run_suite(
            lambda core: Sandbox(cores=[core], limits=LIMITS, runtime=runtime),
            attacks,
            cores=cores,
            runtime=runtime or "",
            timed=runtime not in NOT_FOR_TIMING,
            on_progress=progress,
        )


def print_report(report: Report, console: Console) -> None:
    table = Table(
        title="Attacks on the sandbox",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("")
    for heading in COLUMNS:
        table.add_column(heading, justify="right")
    for category in (*CATEGORIES, None):
        counts = report.counts(category)
        style = "bold" if category is None else ""
        cells = [_cell(kind, counts[kind]) for kind in COLUMNS.values()]
        table.add_row(category or "all", *cells, style=style, end_section=category == CATEGORIES[-1])
    console.print(table)
    console.print(LEGEND, style="dim", highlight=False)
    for result in report.results:
        for finding in result.findings:
            # soft_wrap: names must survive being copied
            console.print(f"[red]{escape(result.attack)}[/] {escape(str(finding))}", highlight=False, soft_wrap=True)
    console.print(summary(report), highlight=False)


def _cell(kind: str, count: int) -> str:
    return str(count) if kind == "attempted" else f"[bold red]{count}[/]" if count else "[dim]0[/]"


def summary(report: Report) -> str:
    found = sum(bool(result.findings) for result in report.results)
    if found:
        return f"{found} of {len(report.results)} attacks found something: the sandbox does not hold here."
    return f"The sandbox withstood all {len(report.results)} attacks."
