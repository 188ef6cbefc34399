"""The comparison itself: a first pass for verdicts and time limits, then interleaved rounds for times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.figures import (
    Range,
    Span,
    agreement,
    cpu_ratio,
    ms_per_run,
    over_rounds,
    rate_per_core,
    rotated,
    slow_keys,
    speed_ratio,
)
from tests.benchmarks.systems import DOCKER_RUN, EVALPLUS, HUMAN_EVAL, OURS, Peer, System
from tests.benchmarks.work import Work, spread

# The set of solutions that each peer is given. Ours is given them all, so that each ratio is on the same solutions.
SET_OF = {HUMAN_EVAL: "sample", EVALPLUS: "cases", DOCKER_RUN: "few"}
ALL = "all"
SAME_PROBLEM = 10  # solutions of a problem in a small set
LEAST_RUNS = 200  # ours repeats a small set to this many runs: fifty are over too soon to be timed

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


@dataclass(frozen=True, slots=True)
class Plan:
    """sets: name → solutions; "all" may be missing."""

    sets: Mapping[str, Sequence[Work]]
    rounds: int
    cores: int


@dataclass(frozen=True, slots=True)
class Measured:
    """first: with the solutions that met the time limit. rounds: without them."""

    first: tuple[Span, ...]
    slow: frozenset[int]
    rounds: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One system's figures over the rounds. `agreed`: (agreeing, judged) in the first pass."""

    system: str
    set: str
    runs: int
    rate: Range | None
    cpu_ms: Range | None
    host_cpu_ms: Range | None
    machine_ms: Range | None
    agreed: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours against a peer on the same solutions: how many times the solutions per second, a fraction of the CPU.

    rates: ours on all its solutions against the peer on its set, which may be a part of them."""

    peer: str
    runs: int
    speed: Range | None
    per_round: tuple[float, ...]
    cpu: Range | None
    rates: Range | None
    with_slow: float | None  # the first pass, where the solutions that met the time limit are among the rest
    slow: int  # of this set


@dataclass(frozen=True, slots=True)
class Forging:
    """tried: attacks that the system's interface can express. accepted: those it said had passed. lost: see Outcome."""

    system: str
    tried: int
    accepted: tuple[str, ...]
    lost: tuple[str, ...]
    deaths: tuple[str, ...] = ()  # each time the harness ended: how, and the end of its stderr


def plan_sets(
    works: Sequence[Work], sample: int, few: int, everything: bool, evalplus: System
) -> dict[str, list[Work]]:
    chosen = spread(works, sample)
    sets = {
        "sample": chosen,
        "cases": [work for work in chosen if evalplus.takes(work)],
        "few": grouped(works, few),
    }
    return sets | ({ALL: list(works)} if everything and len(chosen) < len(works) else {})


def grouped(works: Sequence[Work], count: int) -> list[Work]:
    """`count` solutions in the shape of the work: several of a problem, one after the other, of problems evenly spread.
    Evenly spread solutions would be hardly more than one of each problem, which no run of the pipeline has."""
    by_problem: dict[str, list[Work]] = {}
    for work in works:
        by_problem.setdefault(work.task_id, []).append(work)
    problems = spread(list(by_problem.values()), -(-count // SAME_PROBLEM))
    return [work for problem in problems for work in spread(problem, SAME_PROBLEM)][:count]


def measure(plan: Plan, systems: Mapping[str, System], progress: Progress) -> Measured:
    first = tuple(
        span for name in systems for span in _runs(plan, systems[name], frozenset(), "first pass", progress, once=True)
    )
    slow = frozenset[int]().union(*(slow_keys(span.outcomes) for span in first))
    rounds = []
    for number in range(plan.rounds):
        label = f"round {number + 1}/{plan.rounds}"
        order = rotated(list(systems), number)
        rounds.append(tuple(span for name in order for span in _runs(plan, systems[name], slow, label, progress)))
    return Measured(first, slow, tuple(rounds))


def _runs(
    plan: Plan, system: System, left_out: frozenset[int], label: str, progress: Progress, *, once: bool = False
) -> list[Span]:
    """The system over each of its sets."""
    names = [SET_OF[system.name]] if system.name in SET_OF else list(plan.sets)
    spans = []
    for name in names:
        works = [work for work in plan.sets[name] if work.key not in left_out and system.takes(work)]
        if system.name == OURS and not once and works and len(works) < LEAST_RUNS:
            works *= -(-LEAST_RUNS // len(works))
        with progress(f"{label}: {system.name}, {name}", len(works)) as advance:
            spans.append(system.run(name, works, advance))
    return spans


def rows(plan: Plan, measured: Measured) -> list[Row]:
    labels = {work.key: work.label for works in plan.sets.values() for work in works}
    return [_row(plan, measured, span, labels) for span in measured.first if _shown(span)]


def _shown(span: Span) -> bool:
    """Ours on a peer's set is only there for the ratio."""
    return span.system != OURS or span.name in ("sample", ALL)


def _row(plan: Plan, measured: Measured, first: Span, labels: Mapping[int, bool]) -> Row:
    spans = _over_rounds(measured, first.system, first.name)
    return Row(
        first.system,
        first.name,
        spans[0].runs if spans else 0,
        over_rounds(rate_per_core(span, plan.cores) for span in spans),
        over_rounds(ms_per_run(span.cpu_s, span.runs) for span in spans),
        over_rounds(ms_per_run(span.host_cpu_s, span.runs) for span in spans),
        over_rounds(ms_per_run(span.machine_busy_s, span.runs) for span in spans),
        agreement(first.outcomes, labels),
    )


def _over_rounds(measured: Measured, system: str, name: str) -> list[Span]:
    return [span for spans in measured.rounds for span in spans if (span.system, span.name) == (system, name)]


def ratios(plan: Plan, measured: Measured) -> list[Ratio]:
    found = []
    for peer, name in SET_OF.items():
        pairs = list(zip(_over_rounds(measured, OURS, name), _over_rounds(measured, peer, name), strict=True))
        whole = zip(_over_rounds(measured, OURS, "sample"), _over_rounds(measured, peer, name), strict=True)
        speeds = [speed_ratio(ours, theirs) for ours, theirs in pairs]
        (ours,) = [span for span in measured.first if (span.system, span.name) == (OURS, name)]
        (theirs,) = [span for span in measured.first if span.system == peer]
        found.append(
            Ratio(
                peer,
                pairs[0][1].runs if pairs else 0,
                over_rounds(speeds),
                tuple(speed for speed in speeds if speed is not None),
                over_rounds(cpu_ratio(ours, theirs) for ours, theirs in pairs),
                over_rounds(speed_ratio(ours, theirs) for ours, theirs in whole),
                speed_ratio(ours, theirs),
                sum(work.key in measured.slow for work in plan.sets[name]),
            )
        )
    return found


@dataclass
class Forgeries:
    """The forging part of the hostile suite, tried on every system."""

    works: Sequence[Work]
    results: list[Forging] = field(default_factory=list)

    def run(self, systems: Mapping[str, System], progress: Progress) -> None:
        names = {work.key: work.task_id for work in self.works}
        for system in systems.values():
            taken = [work for work in self.works if system.takes(work)]
            if not taken:
                continue
            runner = system.one_by_one() if isinstance(system, Peer) else system
            with progress(f"forging: {system.name}", len(taken)) as advance:
                span = runner.run("forging", taken, advance)
            self.results.append(forged(names, span))


def forged(names: Mapping[int, str], span: Span) -> Forging:
    accepted = tuple(names[one.key] for one in span.outcomes if one.passed)
    lost = tuple(names[one.key] for one in span.outcomes if one.status == "lost")
    return Forging(span.system, len(span.outcomes), accepted, lost, tuple(span.notes.get("deaths", ())))


def span_facts(span: Span) -> dict[str, Any]:
    """A span for the file, without what became of each solution."""
    return {
        "system": span.system, "set": span.name, "runs": span.runs, "wall_s": span.wall_s, "cpu_s": span.cpu_s,
        "host_cpu_s": span.host_cpu_s, "container_cpu_s": span.container_cpu_s, "machine_busy_s": span.machine_busy_s,
        "notes": dict(span.notes),
    }  # fmt: skip
