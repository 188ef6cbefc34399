"""DPS and DPS_norm: the level of reference solutions that a right one keeps up with.

Source: EvalPerf (Liu et al. 2024, arXiv 2408.06450). A solution is matched with the fastest level whose reference it is
no slower than. Reference run times, and the levels, which are the tiers of run time that measurement tells apart:
`harness.metrics.reference`. Only right solutions have a score, so two models are to be compared over the problems that
both solve.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics.reference import Reference


@dataclass(frozen=True, slots=True)
class Dps:
    """Shares from 0 (slower than all references) to 1 (as fast as the fastest level)."""

    dps: float  # share of reference solutions at the matched level or a slower one
    norm: float  # share of levels that are the matched one or slower: not weighed by how crowded they are


def dps(time: float, reference: Reference) -> Dps:
    """The scores of a right solution that takes `time`. A level's reference is its slowest solution."""
    for place, level in enumerate(reference.levels):
        if time <= level[-1]:
            reached = reference.levels[place:]
            total = sum(map(len, reference.levels))
            return Dps(sum(map(len, reached)) / total, len(reached) / len(reference.levels))
    return Dps(0.0, 0.0)
