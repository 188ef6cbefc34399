"""Made-up measurement blocks: true run times with layout effects per process, drift per round and noise per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.records import MeasurementBlock, SolutionTiming
from harness.timing.decisions import CONFIRM_FROM

LOOPS = 100


def blocks(
    true_ns: Sequence[float] | Mapping[str, float],
    rounds: int,
    rng: np.random.Generator | None = None,
    *,
    noise: float = 0.015,
    layout: float = 0.03,
    first_round: int = 0,
    task_id: str = "t",
    flags: Mapping[str, Sequence[str]] | None = None,
    digests: Mapping[str, str] | None = None,
    contaminated: bool = False,
) -> list[MeasurementBlock]:
    """Without `rng` there is no noise at all."""
    named = true_ns if isinstance(true_ns, Mapping) else {f"s{i:03}": t for i, t in enumerate(true_ns)}
    made = []
    for number in range(first_round, first_round + rounds):
        drift = rng.normal(0, 0.03) if rng else 0.0
        timings = []
        for name, true in named.items():
            process = true * np.exp(drift + (rng.normal(0, layout) if rng else 0.0))
            noises = np.abs(rng.normal(0, noise, 5)) if rng else np.zeros(5)
            cpu_ns = [int(process * LOOPS * np.exp(extra)) for extra in noises]
            timings.append(
                SolutionTiming(
                    solution_id=name,
                    loops=LOOPS,
                    cpu_ns=cpu_ns,
                    wall_ns=cpu_ns,
                    first_ns=cpu_ns[0] // LOOPS,
                    redone=0,
                    calls=3,
                    calls_digest=(digests or {}).get(name, "d"),
                    flags=list((flags or {}).get(name, ())),
                )
            )
        made.append(MeasurementBlock(task_id, number, 0, 1, (100, 100), contaminated, timings))
    return made


def confirmed_blocks(
    true_ns: Sequence[float] | Mapping[str, float],
    rng: np.random.Generator | None = None,
    *,
    flags: Mapping[str, Sequence[str]] | None = None,
) -> list[MeasurementBlock]:
    """Five rounds, and the five that confirm them: what the annotation measures where every gap is wide."""
    return blocks(true_ns, 5, rng, flags=flags) + blocks(true_ns, 5, rng, flags=flags, first_round=CONFIRM_FROM)
