"""The reference run times of a problem, which eff@k, Beyond and DPS are measured against.

Where the papers bring reference solutions of their own (ENAMEL: expert-written, Mercury: submissions of people,
EvalPerf: samples of many models), the reference here is the pool of distinct passing solutions of all models of the
evaluation, measured together in the same blocks on the same calls. So the figures need no second machine and no second
day, and they compare the models of one evaluation on the same problems. They do not compare evaluations with each
other, nor with the papers' tables: with other models, or more samples, the pool is another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """Run times in ns of distinct solutions, by levels that measurement tells apart, the fastest level first.

    Within and across levels run times ascend. There is at least one level, and none is empty.
    """

    levels: tuple[tuple[float, ...], ...]

    @property
    def fastest(self) -> float:
        return self.levels[0][0]

    @property
    def slowest(self) -> float:
        return self.levels[-1][-1]


def reference_of(solutions: Iterable[tuple[float, int]]) -> Reference:
    """From (run time, tier) of each of one or more distinct solutions. Raises ValueError for none.

    Tiers whose run times overlap become one level: those of several measurements that were brought together.
    """
    by_tier: dict[int, list[float]] = {}
    for runtime, tier in solutions:
        by_tier.setdefault(tier, []).append(runtime)
    levels: list[list[float]] = []
    for tier in sorted(by_tier):
        level = by_tier[tier]
        while levels and levels[-1][-1] > min(level):
            level = levels.pop() + level
        levels.append(sorted(level))
    if not levels:
        raise ValueError("no reference solutions")
    return Reference(tuple(map(tuple, levels)))
