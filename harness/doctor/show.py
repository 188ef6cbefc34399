"""Findings for people (a table) and for programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.doctor.checks import Finding, Group, Status
from harness.doctor.facts import MachineFacts

STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.UNKNOWN: "dim", Status.ERROR: "bold red"}
TITLES = {
    Group.ISOLATION: "Isolation: can model-written code be kept in?",
    Group.TIMING: "Timing: what disturbs measurements here?",
    Group.AA: "A/A run: does a program look faster than itself under other names?",
    Group.ROOM: "Room",
}


def print_table(findings: Sequence[Finding], facts: MachineFacts, console: Console) -> None:
    console.print(f"{facts.system}, Python {facts.python}", style="dim", highlight=False)
    for group in Group:
        table = Table(title=TITLES[group], title_justify="left", title_style="bold", box=None, show_header=False)
        table.add_column(no_wrap=True, width=max(map(len, Status)))
        table.add_column(no_wrap=True, width=max(len(f.name) for f in findings))
        table.add_column(ratio=1)
        for finding in findings:
            if finding.group is not group:
                continue
            advice = f"\n[cyan]→ {escape(finding.advice)}[/]" if finding.advice else ""
            text = escape(finding.found) + advice
            table.add_row(f"[{STYLES[finding.status]}]{finding.status}[/]", finding.name, text)
        console.print(table)
        console.print()
    console.print(summary(findings), highlight=False)


def summary(findings: Sequence[Finding]) -> str:
    counts = {status: sum(f.status is status for f in findings) for status in Status}
    listing = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    groups = {f.group for f in findings if f.status is Status.ERROR}
    if Group.ISOLATION in groups:
        return f"{listing}. Mend the errors before running: solutions are not run without isolation."
    if groups:
        return f"{listing}. Mend the errors before timing: labels made here would not be true."
    if counts[Status.WARN]:
        return f"{listing}. Ready; the warnings cost time or certainty, never correctness."
    return f"{listing}. Ready."


def to_json(findings: Sequence[Finding], facts: MachineFacts) -> str:
    # A quota of "none" is infinite, which JSON has no word for.
    plain = {k: None if v == float("inf") else v for k, v in asdict(facts).items()}
    return json.dumps({"findings": [asdict(f) for f in findings], "facts": plain}, indent=2)
