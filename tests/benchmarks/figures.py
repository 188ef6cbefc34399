"""From what was measured to the figures that are shown. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SLOW_SECONDS = 3.0  # the time limit of every system: a run that took so long has met it, whatever it is called


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a system made of one solution. `wall_s` is the system's own figure for it."""

    key: int
    passed: bool
    status: str  # "passed", "failed", "timeout", or "lost": the harness itself did not survive it
    wall_s: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """One system over one set of solutions. CPU in seconds; None where it can't be had."""

    system: str
    name: str
    runs: int
    wall_s: float
    host_cpu_s: float | None
    container_cpu_s: float | None
    machine_busy_s: float  # CPU time of everything on the machine: an upper bound that leaves nothing out
    outcomes: tuple[Outcome, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cpu_s(self) -> float | None:
        """Host and container together; None unless the container's part is known."""
        return None if self.container_cpu_s is None else self.container_cpu_s + (self.host_cpu_s or 0.0)


@dataclass(frozen=True, slots=True)
class Range:
    """Median of some rounds, with the lowest and the highest."""

    median: float
    low: float
    high: float
    count: int


def over_rounds(values: Iterable[float | None]) -> Range | None:
    """None if there is no value at all; missing ones are left out (and `count` says so)."""
    known = [value for value in values if value is not None]
    return Range(statistics.median(known), min(known), max(known), len(known)) if known else None


def rate_per_core(span: Span, cores: int) -> float | None:
    """Solutions per second and core."""
    return span.runs / span.wall_s / cores if span.runs and span.wall_s > 0 else None


def ms_per_run(seconds: float | None, runs: int) -> float | None:
    return None if seconds is None or not runs else 1_000 * seconds / runs


def speed_ratio(ours: Span, theirs: Span) -> float | None:
    """How many times as many solutions per second ours judges; the cores are the same and cancel out."""
    mine, other = rate_per_core(ours, 1), rate_per_core(theirs, 1)
    return mine / other if mine is not None and other else None


def cpu_ratio(ours: Span, theirs: Span) -> float | None:
    """How many times as much CPU time theirs takes for a run. None where one of them is unknown."""
    mine, other = ms_per_run(ours.cpu_s, ours.runs), ms_per_run(theirs.cpu_s, theirs.runs)
    return other / mine if mine and other is not None else None


def slow_keys(outcomes: Iterable[Outcome]) -> set[int]:
    """Solutions that met the time limit."""
    return {one.key for one in outcomes if one.status == "timeout" or one.wall_s >= SLOW_SECONDS}


def agreement(outcomes: Iterable[Outcome], labels: Mapping[int, bool]) -> tuple[int, int]:
    """(agreeing, judged). A solution that the harness lost is judged, and does not agree."""
    judged = list(outcomes)
    return sum(one.status != "lost" and one.passed == labels[one.key] for one in judged), len(judged)


def rotated(names: Sequence[str], round_number: int) -> list[str]:
    """The order of a round: each system goes first, second, … in turn."""
    turn = round_number % len(names)
    return [*names[turn:], *names[:turn]]
