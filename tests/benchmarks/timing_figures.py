"""What the timing benchmark's figures are: pure functions from run times and decisions to counts.

A method's word on a problem is a run time for each solution (ns), and the pairs that it orders. Pairs are (task, quick,
slow), so a pair that two methods order alike is the same tuple.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from scipy.stats import beta

from harness.records import Decision, ProblemLabels

Key = tuple[str, str]  # task, solution
Times = Mapping[Key, float]
Pair = tuple[str, str, str]

BINS = (1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.5, 2.0, 5.0, math.inf)


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `count`, with the exact (Clopper-Pearson) 95% interval."""

    hits: int
    count: int

    @property
    def value(self) -> float | None:
        return self.hits / self.count if self.count else None

    @property
    def low(self) -> float:
        return float(beta.ppf(0.025, self.hits, self.count - self.hits + 1)) if self.hits else 0.0

    @property
    def high(self) -> float:
        return float(beta.ppf(0.975, self.hits + 1, self.count - self.hits)) if self.hits < self.count else 1.0

    def as_json(self) -> dict[str, float | int | None]:
        return {"hits": self.hits, "count": self.count, "share": self.value, "low": self.low, "high": self.high}


def run_times(labels: Iterable[ProblemLabels]) -> dict[Key, float]:
    return {(known.task_id, label.solution_id): label.runtime_ns for known in labels for label in known.labels}


def decided_pairs(labels: Iterable[ProblemLabels]) -> dict[Pair, float]:
    """The pairs whose order is decided, with their ratio."""
    return {
        (known.task_id, pair.quick_id, pair.slow_id): pair.ratio
        for known in labels
        for pair in known.comparisons
        if pair.decision is Decision.QUICK
    }


def seen_orders(labels: Iterable[ProblemLabels]) -> dict[Pair, float]:
    """All pairs that met in at least one round, in the order of their median ratio, decided or not."""
    return {
        (known.task_id, pair.quick_id, pair.slow_id): pair.ratio
        for known in labels
        for pair in known.comparisons
        if pair.rounds
    }


def orders_by_time(times: Times, least_gap: float = 0.0) -> dict[Pair, float]:
    """What a method without abstention says: every pair of a problem's solutions whose times differ by the gap."""
    by_task: dict[str, list[tuple[str, float]]] = {}
    for (task, one), ns in times.items():
        by_task.setdefault(task, []).append((one, ns))
    found: dict[Pair, float] = {}
    for task, own in by_task.items():
        for (first, a), (second, b) in combinations(sorted(own), 2):
            ratio = max(a, b) / min(a, b)
            if a != b and ratio >= 1 + least_gap:
                found[(task, first, second) if a < b else (task, second, first)] = ratio
    return found


def again(pairs: Iterable[Pair], orders: Iterable[Pair]) -> Share:
    """How many of the pairs have the same order there, among those that have one there."""
    there = set(orders)
    known = [pair for pair in pairs if pair in there or _turned(pair) in there]
    return Share(sum(pair in there for pair in known), len(known))


def _turned(pair: Pair) -> Pair:
    return pair[0], pair[2], pair[1]


def without(pairs: Mapping[Pair, float], left_out: set[Key]) -> dict[Pair, float]:
    """The pairs that have none of these solutions."""
    return {pair: ratio for pair, ratio in pairs.items() if not {(pair[0], pair[1]), (pair[0], pair[2])} & left_out}


def identical_pairs(groups: Mapping[str, Sequence[str]]) -> set[Pair]:
    """Both orders of every pair of identical programs. groups: task → ids of programs that are the same."""
    return {
        (task, *order) for task, ids in groups.items() for pair in combinations(ids, 2) for order in (pair, pair[::-1])
    }


def false_decisions(pairs: Iterable[Pair], groups: Mapping[str, Sequence[str]]) -> Share:
    """Identical pairs that a method orders."""
    identical = identical_pairs(groups)
    return Share(sum(pair in identical for pair in pairs), len(identical) // 2)


def median_spread(times: Times, groups: Mapping[str, Sequence[str]]) -> float | None:
    """Median over groups of greatest / least run time among identical programs."""
    spreads = []
    for task, ids in groups.items():
        own = [times[task, one] for one in ids if (task, one) in times]
        if len(own) >= 2:
            spreads.append(max(own) / min(own))
    return sorted(spreads)[len(spreads) // 2] if spreads else None


def yield_by_gap(decided: Iterable[Pair], truth: Mapping[Pair, float]) -> list[tuple[float, float, Share]]:
    """For each bin of the true ratio: how many pairs were decided (in the true order)."""
    chosen = set(decided)
    rows = []
    for low, high in pairwise(BINS):
        inside = [pair for pair, ratio in truth.items() if low <= ratio < high]
        rows.append((low, high, Share(sum(pair in chosen for pair in inside), len(inside))))
    return rows


def wrong_by_gap(decided: Iterable[Pair], truth: Mapping[Pair, float]) -> list[tuple[float, float, Share]]:
    """For each bin of the true ratio: how many of the decided pairs are in the wrong order."""
    rows = []
    for low, high in pairwise(BINS):
        inside = []
        for pair in decided:
            ratio = truth.get(pair) or truth.get(_turned(pair))
            if ratio is not None and low <= ratio < high:
                inside.append(pair in truth)
        rows.append((low, high, Share(inside.count(False), len(inside))))
    return rows


def share_above(rows: Iterable[tuple[float, float, Share]], least: float) -> Share:
    chosen = [share for low, _, share in rows if low >= least]
    return Share(sum(one.hits for one in chosen), sum(one.count for one in chosen))
