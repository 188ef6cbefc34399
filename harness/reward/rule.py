"""What a completion is worth, from what the sandbox said of it. Pure.

    did not pass                 0
    passed                       1 + clip(weight · log2(speed-up), -bound, bound)
    passed, order not decided    1
    refused                      no reward at all (None), but for a VIOLATION: 0

Any pass is worth more than any failure: bound < 1. The speed-up is over the problem's reference solution, and counts
only where the order of the two is decided (harness/timing/decisions.py). docs/adr/0012-online-reward.md says why a
VIOLATION is 0 rather than None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from harness.records import Answer, Comparison, Decision, MergedRow
from sandbox import Integrity, Verdict

MIN_JUDGED = 32  # completions before the share of refused ones says anything


class Reference(StrEnum):
    """Which passing answer of the merged data a problem's completions are compared with."""

    MEDIAN = "median"
    FASTEST = "fastest"


class Refusal(StrEnum):
    """Why a completion earns nothing whatever its test said."""

    WEAK = "weak"  # the test ran in the solution's own process, which may have had its say in the verdict
    VIOLATION = "violation"  # it did what no honest solution does
    INTERNAL = "internal"  # our own fault: nothing is known


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one program. Words are `sandbox.Verdict`'s and `sandbox.Integrity`'s.

    speedup: reference time over its own, above 1 if it is quicker; None where the order of the two is not decided, or
    was not looked at. sound: False if it passed when it was judged, but not always while it was timed.
    """

    solution_id: str
    verdict: str
    integrity: str
    speedup: float | None = None
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Reward:
    """value: None is no signal at all, which is not the same as 0."""

    value: float | None
    refusal: Refusal | None = None

    @property
    def passed(self) -> bool:
        return self.value is not None and self.value > 0


@dataclass(frozen=True, slots=True)
class Rule:
    """weight: of one doubling of speed. bound: the most that speed adds or takes, in [0, 1)."""

    weight: float
    bound: float

    def __post_init__(self) -> None:
        if not (self.weight >= 0 and math.isfinite(self.weight) and 0 <= self.bound < 1):
            raise ValueError(f"weight {self.weight} must be 0 or more, bound {self.bound} within [0, 1)")

    def reward(self, outcome: Outcome) -> Reward:
        if refusal := refused(outcome):
            return Reward(0.0 if refusal is Refusal.VIOLATION else None, refusal)
        if outcome.verdict != Verdict.PASSED or not outcome.sound:
            return Reward(0.0)
        if outcome.speedup is None:
            return Reward(1.0)
        return Reward(1.0 + max(-self.bound, min(self.bound, self.weight * math.log2(outcome.speedup))))


def refused(outcome: Outcome) -> Refusal | None:
    """Whether and why a run is no ground for a reward. A run that was not surely kept apart from its test is none."""
    if outcome.verdict == Verdict.INTERNAL:
        return Refusal.INTERNAL
    if outcome.verdict == Verdict.VIOLATION:
        return Refusal.VIOLATION
    return None if outcome.integrity == Integrity.STRONG else Refusal.WEAK


def too_many(refusals: int, judged: int, limit: float) -> bool:
    """Whether so many of the completions were refused that something is wrong: more than `limit`, a share."""
    return judged >= MIN_JUDGED and refusals > limit * judged


def reference_answer(row: MergedRow, which: Reference) -> Answer | None:
    """The passing answer to compare with: the fastest, or the middle one (of two, the slower); None: none was timed."""
    timed = sorted((answer for answer in row.answers[: row.passing] if answer.votes is not None), key=_run_time)
    if not timed:
        return None
    return timed[0 if which is Reference.FASTEST else len(timed) // 2]


def _run_time(answer: Answer) -> float:
    return answer.votes or 0.0


def speedup(comparisons: list[Comparison], solution_id: str, reference_id: str) -> float | None:
    """How many times as quick as the reference; None where that is not decided."""
    for pair in comparisons:
        if pair.decision is Decision.QUICK:
            if (pair.quick_id, pair.slow_id) == (solution_id, reference_id):
                return pair.ratio
            if (pair.quick_id, pair.slow_id) == (reference_id, solution_id):
                return 1.0 / pair.ratio
    return None
