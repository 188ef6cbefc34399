"""From the warden's facts to a verdict. Pure: what ended a run and what was judged are read here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.types import Execution, Integrity, Termination, Verdict

SIGXCPU = 24
MAX_MESSAGE = 2_000

# What the judge decided, where it decided. A decision stands whatever became of the process afterwards.
_JUDGED = {
    "passed": Verdict.PASSED,
    "assertion": Verdict.WRONG,
    "raised": Verdict.ERROR,
    "test_raised": Verdict.ERROR,
    "syntax": Verdict.SYNTAX,
    "exited": Verdict.EARLY_EXIT,
    "violation": Verdict.VIOLATION,
}
_CAUSES = {
    "cpu_limit": (Verdict.TIMEOUT_CPU, Termination.CPU_LIMIT),
    "wall_limit": (Verdict.TIMEOUT_WALL, Termination.WALL_LIMIT),
    "output_limit": (Verdict.OUTPUT, Termination.OUTPUT_LIMIT),
    # The test's own code ran on and on over what the solution returned.
    "judge": (Verdict.TIMEOUT_CPU, Termination.JUDGE),
}


# A warden's answer for a run that took its container along, so that nothing else is known of it.
OUT_OF_MEMORY = {
    "report": {"outcome": "gone"}, "out_of_memory": True, "ended_itself": True, "exit_code": None, "signal": None,
    "cpu_ns": 0, "wall_ns": 0, "max_rss_bytes": 0, "output_bytes": 0, "head": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """One run as the warden reports it. Texts are untrusted; numbers and causes are the warden's own."""

    outcome: str  # the judge's, or "" / "gone"
    error: str
    message: str
    weak_reason: str
    cause: str  # which limit ended it, or ""
    exit_code: int | None
    signal: int | None
    ended_itself: bool  # before the warden ended it
    out_of_memory: bool
    cpu_ns: int
    wall_ns: int
    max_rss_bytes: int
    output_bytes: int
    head: str
    calls: int


def read_facts(answer: Mapping[str, Any]) -> Facts:
    report = answer["report"]
    return Facts(
        outcome=_text(report.get("outcome")),
        error=_text(report.get("error")),
        message=_text(report.get("message")),
        weak_reason=_text(report.get("weak")),
        cause=_text(report.get("cause")),
        exit_code=answer["exit_code"],
        signal=answer["signal"],
        ended_itself=bool(answer["ended_itself"]),
        out_of_memory=bool(answer["out_of_memory"]),
        cpu_ns=int(answer["cpu_ns"]),
        wall_ns=int(answer["wall_ns"]),
        max_rss_bytes=int(answer["max_rss_bytes"]),
        output_bytes=int(answer["output_bytes"]),
        head=_text(answer["head"]),
        calls=int(report["calls"]) if isinstance(report.get("calls"), int) else 0,
    )


def _text(value: object) -> str:
    return value[:MAX_MESSAGE] if isinstance(value, str) else ""


def classify(facts: Facts) -> tuple[Verdict, Termination]:
    """What was judged, and what ended the candidate process."""
    if facts.outcome in _JUDGED:
        verdict = _JUDGED[facts.outcome]
        if verdict is Verdict.ERROR and facts.error == "MemoryError":
            verdict = Verdict.MEMORY
        ended = Termination.PROTOCOL if verdict is Verdict.VIOLATION else Termination.COMPLETED
        return verdict, Termination.EXITED if verdict is Verdict.EARLY_EXIT else ended
    if facts.cause in _CAUSES:
        return _CAUSES[facts.cause]
    # The candidate ended before there was a decision.
    if facts.out_of_memory:
        return Verdict.MEMORY, Termination.MEMORY_LIMIT
    if facts.signal == SIGXCPU:
        return Verdict.TIMEOUT_CPU, Termination.CPU_LIMIT
    if facts.exit_code is not None:
        return Verdict.EARLY_EXIT, Termination.EXITED
    if facts.ended_itself and facts.signal is not None:
        return Verdict.SIGNAL, Termination.SIGNALED
    # It closed its socket, which ends the judge's run, and was then killed by us.
    return Verdict.EARLY_EXIT, Termination.UNKNOWN


def execution(facts: Facts, *, attempts: int = 1) -> Execution:
    verdict, termination = classify(facts)
    return Execution(
        verdict=verdict,
        integrity=Integrity.WEAK if facts.weak_reason else Integrity.STRONG,
        termination=termination,
        weak_reason=facts.weak_reason,
        message=facts.message,
        cpu_ns=facts.cpu_ns,
        wall_ns=facts.wall_ns,
        max_rss_bytes=facts.max_rss_bytes,
        stdout_bytes=facts.output_bytes,
        output_head=facts.head,
        calls=facts.calls,
        attempts=attempts,
    )


def internal(message: str, *, attempts: int = 1) -> Execution:
    """A run that came to nothing through a fault of ours (or of the test), never the solution's."""
    return Execution(
        verdict=Verdict.INTERNAL,
        integrity=Integrity.NONE,
        termination=Termination.UNKNOWN,
        message=message[:MAX_MESSAGE],
        attempts=attempts,
    )
