"""`doctor`: look at the machine, judge, show."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from harness.doctor.checks import examine, exit_code
from harness.doctor.gather import gather
from harness.doctor.show import print_table, to_json


def run(root: Path, *, as_json: bool) -> int:
    """Print the findings to standard output; the exit code."""
    facts = gather(root)
    findings = examine(facts)
    if as_json:
        print(to_json(findings, facts))
    else:
        print_table(findings, facts, Console())
    return exit_code(findings)
