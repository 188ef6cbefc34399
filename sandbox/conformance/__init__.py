"""A suite of hostile programs that says whether a sandbox on this machine holds.

    from sandbox import Limits, Sandbox
    from sandbox.conformance import LIMITS, load_attacks, run_suite

    report = run_suite(lambda core: Sandbox(cores=[core], limits=LIMITS), load_attacks(), cores=[0])
    print(report.ok, report.counts())

The programs are data (`programs/<category>/<name>.py`): they are read, never imported, and run in the sandbox only.
"""

from sandbox.conformance.attacks import (
    CATEGORIES,
    Attack,
    AttackError,
    Proof,
    Timed,
    TimedExpectation,
    load_attacks,
    parse,
)
from sandbox.conformance.judging import Finding, Kind, findings, timing_findings
from sandbox.conformance.suite import LIMITS, Report, Result, examine, run_suite

__all__ = [
    "CATEGORIES",
    "LIMITS",
    "Attack",
    "AttackError",
    "Finding",
    "Kind",
    "Proof",
    "Report",
    "Result",
    "Timed",
    "TimedExpectation",
    "examine",
    "findings",
    "load_attacks",
    "parse",
    "run_suite",
    "timing_findings",
]
