"""What a soak test decides: is the end like the beginning? Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
MOST_LATENCY_GROWTH = 0.10  # a quicker end is no sign of wear, on a machine that others use
EDGE = 5  # samples at either end whose median is compared: one sample may fall on a container that is being replaced


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen after so many runs. Latencies are of the quick runs since the sample before, in ms."""

    runs: int
    per_second: float
    latency_ms: float
    latency_p99_ms: float
    rss_bytes: int
    fds: int
    threads: int
    containers: int
    container_bytes: int  # the largest container's, without the page cache
    container_pids: int  # the largest container's
    # Of the machine: shown, never judged, since others use it too. A changing load explains a changing latency.
    available_bytes: int
    load: float


# What must not grow: name → how much more at the end is still no growth (absolute, and as a share of the beginning;
# the larger counts). A new container holds little and an old one all its slots: its memory and processes may differ by
# that. Descriptors may differ by the engine's connections, of which the SDK keeps up to 25, one for each address. What
# is still there once the sandbox is closed is judged strictly.
ALLOWED = {
    "rss_bytes": (16 * MIB, 0.10),
    "fds": (32, 0.0),
    "threads": (2, 0.0),
    "containers": (0, 0.0),
    "container_bytes": (64 * MIB, 0.5),
    "container_pids": (24, 0.0),
}


@dataclass(frozen=True, slots=True)
class Growth:
    what: str
    first: float
    last: float
    allowed: float  # the last value that is still no growth

    @property
    def grew(self) -> bool:
        return self.last > self.allowed


def growths(samples: Sequence[Sample]) -> list[Growth]:
    """The medians of the first and the last samples. They share some if there are few: then less can be seen."""
    edge = max(1, min(EDGE, len(samples) // 2))
    found = []
    for what, (absolute, share) in ALLOWED.items():
        first = statistics.median(getattr(sample, what) for sample in samples[:edge])
        last = statistics.median(getattr(sample, what) for sample in samples[-edge:])
        found.append(Growth(what, first, last, first + max(absolute, share * first)))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency_ratio(first: Iterable[tuple[str, float]], last: Iterable[tuple[str, float]]) -> float | None:
    """Last against first, like with like: the median over the kinds of the ratio of a kind's medians.

    first, last: (kind, latency) of the runs in each window. None if no kind is in both.
    """
    before, after = _medians(first), _medians(last)
    ratios = [after[kind] / before[kind] for kind in before if kind in after and before[kind] > 0]
    return statistics.median(ratios) if ratios else None


def _medians(runs: Iterable[tuple[str, float]]) -> dict[str, float]:
    grouped: dict[str, list[float]] = defaultdict(list)
    for kind, latency in runs:
        grouped[kind].append(latency)
    return {kind: statistics.median(values) for kind, values in grouped.items()}
