"""How the threads of a model on a CPU wait for each other. Standard library only: it counts before torch is loaded."""

from __future__ import annotations

from collections.abc import MutableMapping

# libgomp's threads spin for milliseconds by default. Beside a neighbour that takes part of one core all of them then
# wait for the one that is held up, and keep it from its core meanwhile. A short spin, then sleep, costs little on a
# quiet machine; sleeping at once costs there what it saves on a busy one (docs/benchmarks/waiting.md).
BRIEF_SPIN = {"GOMP_SPINCOUNT": "3000"}


def spin_briefly(environment: MutableMapping[str, str]) -> None:
    """Unless the user has said how threads wait."""
    if "OMP_WAIT_POLICY" not in environment:
        for name, value in BRIEF_SPIN.items():
            environment.setdefault(name, value)
