"""What an observed attack means. Pure: executions and timings in, findings out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sandbox import Execution, Integrity, Timing, Verdict
from sandbox.conformance.attacks import Attack, Proof, TimedExpectation

MS, MIB = 1_000_000, 1024 * 1024
MAX_HONEST_RATIO = 2.0  # between two timings of the same honest program beside an attack


class Kind(StrEnum):
    """What can be wrong with a sandbox, or with an attack on it."""

    FORGED = "forged"  # PASSED without being right
    ESCAPE = "escape"  # it reached what must be out of reach
    SURVIVOR = "survivor"  # something of it was there in the next run
    SPOILED = "spoiled"  # an honest run beside it was harmed
    VACUOUS = "vacuous"  # the attack did not really run: it says nothing about the sandbox
    VERDICT = "verdict"  # not passed, but not the right verdict either
    TIMING = "timing"  # a time that is not true went unnoticed, or a true one was refused


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def findings(attack: Attack, execution: Execution) -> list[Finding]:
    """What is wrong with an attack's own run. Empty: the sandbox held, and the attack was a real one."""
    return [*_verdict(attack, execution), *_reached(attack, execution), *_vacuous(attack.proof, execution)]


def _verdict(attack: Attack, execution: Execution) -> list[Finding]:
    found = []
    wanted = " or ".join(attack.expect)
    got = f"{execution.verdict} instead of {wanted}: {execution.message[:200]!r}"
    if execution.verdict is Verdict.PASSED and Verdict.PASSED not in attack.expect:
        found.append(Finding(Kind.FORGED, f"{got}, integrity {execution.integrity}"))
    elif execution.verdict not in attack.expect:
        found.append(Finding(Kind.VERDICT, got))
    elif execution.integrity is not Integrity.STRONG:
        why = execution.weak_reason[:200]
        found.append(Finding(Kind.VERDICT, f"the program made its run {execution.integrity}: {why}"))
    if execution.attempts > 1 and not attack.breaks_container:
        found.append(Finding(Kind.VERDICT, f"{execution.attempts} attempts were needed: it broke the container"))
    return found


def _reached(attack: Attack, execution: Execution) -> list[Finding]:
    lines = re.findall(r"^REACHED: (.*)", execution.output_head, re.M)
    return [Finding(Kind.ESCAPE, line[:200]) for line in lines if not any(re.search(p, line) for p in attack.reaches)]


def _vacuous(proof: Proof, execution: Execution) -> list[Finding]:
    head = execution.output_head
    shown = {
        f"its output {head[-300:]!r} lacks {proof.output!r}": bool(re.search(proof.output, head)),
        f"its message {execution.message[:200]!r} lacks {proof.message!r}": bool(
            re.search(proof.message, execution.message)
        ),
        f"it ended by {execution.termination}, not {proof.termination}": (
            proof.termination is None or execution.termination is proof.termination
        ),
    }
    measured = {
        "CPU ms": (execution.cpu_ns / MS, proof.min_cpu_ms),
        "wall ms": (execution.wall_ns / MS, proof.min_wall_ms),
        "resident MiB": (execution.max_rss_bytes / MIB, proof.min_rss_mib),
        "output bytes": (execution.stdout_bytes, proof.min_output_bytes),
        "calls": (execution.calls, proof.min_calls),
    }
    shown |= {f"{name}: {value:.0f} of at least {least}": value >= least for name, (value, least) in measured.items()}
    return [Finding(Kind.VACUOUS, text) for text, fine in shown.items() if not fine]


def neighbour_findings(execution: Execution, which: str) -> list[Finding]:
    """An honest run beside the attack."""
    if execution.verdict is Verdict.PASSED and execution.integrity is Integrity.STRONG:
        return []
    what = f"{which}: {execution.verdict} ({execution.integrity}) {execution.message[:200]!r}"
    return [Finding(Kind.SPOILED, what)]


def look_findings(execution: Execution) -> list[Finding]:
    """The run after the attack, which reports what it finds left."""
    left = re.findall(r"^LEFT: (.*)", execution.output_head, re.M)
    found = [Finding(Kind.SURVIVOR, line[:200]) for line in left]
    if not found and execution.verdict is not Verdict.PASSED:
        what = f"the next run: {execution.verdict} {execution.message[:200]!r} {execution.output_head[-300:]!r}"
        found = [Finding(Kind.SPOILED, what)]
    return found


def per_pass(timing: Timing) -> float:
    """CPU ns of one pass, or nan if there is no timing."""
    return min(timing.cpu_ns) / timing.loops if timing.cpu_ns and timing.loops else float("nan")


def timing_findings(attack: Attack, timings: Sequence[Timing]) -> list[Finding]:
    """A block of an honest solution, the attack, and the honest one again."""
    before, hostile, after = timings
    return [*_honest_timings(before, after), *_timing(attack, hostile, min(per_pass(before), per_pass(after)))]


def _honest_timings(before: Timing, after: Timing) -> list[Finding]:
    flagged = [one for one in (before, after) if one.flags or not one.cpu_ns]
    if flagged:
        texts = {f"{', '.join(one.flags) or 'no times'} ({one.execution.verdict})" for one in flagged}
        return [Finding(Kind.SPOILED, f"the honest timing beside it: {'; '.join(sorted(texts))}")]
    low, high = sorted((per_pass(before), per_pass(after)))
    if high > MAX_HONEST_RATIO * low:
        text = f"the honest timings beside it: {per_pass(before):.0f} ns before, {per_pass(after):.0f} ns after"
        return [Finding(Kind.SPOILED, text)]
    return []


def _timing(attack: Attack, hostile: Timing, honest_ns: float) -> list[Finding]:
    assert attack.timed is not None
    expect, flags = attack.timed.expect, ", ".join(hostile.flags)
    share = per_pass(hostile) / honest_ns
    got = f"{share:.3f} of an honest time, flags: {flags or 'none'}, {hostile.execution.verdict}"
    match expect:
        case TimedExpectation.FLAGGED:
            fine = bool(hostile.flags)
        case TimedExpectation.UNTIMED:
            fine = not hostile.cpu_ns
        case TimedExpectation.TRUE:
            fine = not hostile.flags and share >= attack.timed.min_ratio
    return [] if fine else [Finding(Kind.TIMING, f"{expect} was expected; got {got}")]
