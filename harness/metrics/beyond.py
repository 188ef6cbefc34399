"""Beyond: where a sample lies between the slowest and the fastest reference.

Source: Mercury (Du et al. 2024, arXiv 2402.07844). Reference run times: `harness.metrics.reference`.
"""

from __future__ import annotations

from harness.metrics.reference import Reference


def beyond(time: float | None, reference: Reference) -> float:
    """(max - clip(t)) / (max - min) with `time` clipped to the reference run times; 0 for a wrong sample (None).

    Where all references take the same time a right sample counts in full, so that the mean over samples never exceeds
    the pass rate and equals it where run times say nothing.
    """
    if time is None:
        return 0.0
    spread = reference.slowest - reference.fastest
    if spread == 0:
        return 1.0
    return (reference.slowest - min(max(time, reference.fastest), reference.slowest)) / spread
