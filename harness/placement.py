"""Which logical CPUs judge and which time. Pure: harness.core_locks looks at the machine and claims them.

Judging may use every logical CPU. Timing uses one logical CPU of a physical core and leaves its SMT siblings idle: they
share its execution units and caches, so that what runs on one moves the times of the other. The first physical core is
left to the host side where there are two or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Siblings = Sequence[Sequence[int]]  # the logical CPUs of each physical core


@dataclass(frozen=True, slots=True)
class Placement:
    """Logical CPUs by what they do; those that time also judge, at another time."""

    judging: tuple[int, ...]
    timing: tuple[int, ...]


def place(cpus: Sequence[int], siblings: Siblings | None, timing: Sequence[int] | None = None) -> Placement:
    """Who does what among these logical CPUs, in the order given.

    siblings: None where the topology is hidden: then every logical CPU counts as a physical core. timing: an explicit
    choice, which wins.
    """
    return Placement(tuple(cpus), tuple(timing) if timing else timing_cpus(cpus, siblings))


def timing_cpus(cpus: Sequence[int], siblings: Siblings | None) -> tuple[int, ...]:
    """One logical CPU a physical core, without the first core; the only core where there is only one."""
    firsts = one_per_core(cpus, siblings)
    return firsts[1:] or firsts


def slots(cpus: Sequence[int], siblings: Siblings | None) -> tuple[int, ...]:
    """One logical CPU a physical core, the first core last: where not all are taken it is left to the host side."""
    firsts = one_per_core(cpus, siblings)
    return firsts[1:] + firsts[:1]


def place_slots(cpus: Sequence[int], siblings: Siblings | None, taken: Sequence[int]) -> Placement:
    """Those of `slots` that are taken time; they and their siblings among `cpus` judge."""
    cores = {physical_core(cpu, siblings) for cpu in taken}
    return Placement(tuple(cpu for cpu in cpus if physical_core(cpu, siblings) in cores), tuple(taken))


def one_per_core(cpus: Sequence[int], siblings: Siblings | None) -> tuple[int, ...]:
    """The first of these logical CPUs on each physical core."""
    firsts: dict[tuple[int, ...], int] = {}
    for cpu in cpus:
        firsts.setdefault(physical_core(cpu, siblings), cpu)
    return tuple(firsts.values())


def physical_core(cpu: int, siblings: Siblings | None) -> tuple[int, ...]:
    """All logical CPUs of that CPU's physical core, sorted; itself alone where the topology does not say."""
    return next((tuple(sorted(core)) for core in siblings or () if cpu in core), (cpu,))


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """A kernel CPU list: "0-2,5" → (0, 1, 2, 5)."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first:
            numbers += range(int(first), int(last if dash else first) + 1)
    return tuple(numbers)


def cpu_list(cpus: Iterable[int]) -> str:
    """The way back: (0, 1, 2, 5) → "0-2,5"."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][-1] + 1:
            runs[-1].append(cpu)
        else:
            runs.append([cpu])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
