"""What stress inputs and their timing depend on; recorded in the manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.stress.asking import MOST_INPUTS


@dataclass(frozen=True, slots=True)
class StressSettings:
    """draws: made-up inputs of a size; keep: of these, the hardest that all agree on are timed. most_size: elements.
    call_ns: CPU time of a call beyond which a solution gets no larger inputs. cpu_seconds: limit of one run that asks
    for the answers to all draws of a size. growth_rounds: timing rounds of sizes at which no pair is decided.
    min_sample_ns: of CPU time in one timing sample. Every pass needs a copy of its arguments, so that a solution that
    takes no time on a large input would have thousands of them made for the usual millisecond."""

    seed: int = 1
    draws: int = 12
    keep: int = 3
    most_size: int = 4_096
    most_sizes: int = 14
    call_ns: int = 3_000_000
    cpu_seconds: float = 1.5
    growth_rounds: int = 2
    min_sample_ns: int = 100_000

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.draws <= MOST_INPUTS:
            raise ValueError(f"1 ≤ keep ≤ draws ≤ {MOST_INPUTS} wanted, got keep {self.keep}, draws {self.draws}")

    def recorded(self) -> dict[str, Any]:
        return asdict(self)
