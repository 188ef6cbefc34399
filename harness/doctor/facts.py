"""What is known about a machine. Every field may be None: not knowable here, which is never the same as fine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The Docker engine. `error` is set, and the rest is empty, where none answers."""

    error: str = ""
    fix: str = ""
    version: str = ""
    api_version: str = ""
    cgroup_version: str = ""  # "1" or "2"
    cgroup_driver: str = ""
    security: tuple[str, ...] = ()  # the engine's list, e.g. "name=seccomp,profile=default"
    runtimes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    data_root: str = ""
    image: str | None = None  # tag of the sandbox image for the present sources; None: not built
    base: str | None = None


@dataclass(frozen=True, slots=True)
class GpuFacts:
    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """One machine at one moment. Sizes in bytes, shares from 0 to 1, pressures in percent over the last 10 s."""

    system: str = ""
    cpus: int | None = None  # logical, online
    allowed: tuple[int, ...] | None = None  # logical CPUs that this process may use
    siblings: tuple[tuple[int, ...], ...] | None = None  # logical CPUs by physical core
    numa_nodes: int | None = None
    max_frequencies: tuple[int, ...] | None = None  # kHz, one per logical CPU; unequal: a hybrid processor
    quota: float | None = None  # CPUs that a cgroup quota allows; inf: no quota
    throttled: int | None = None  # periods in which the quota stopped us
    load: float | None = None  # average over 1 minute
    cpu_pressure: float | None = None
    steal: float | None = None  # share of CPU time taken by the hypervisor since the machine started
    virtualisation: str | None = None  # "" on bare metal
    clocksource: str | None = None
    clock_read_ns: float | None = None
    governor: str | None = None
    turbo: bool | None = None
    swap_used: int | None = None
    thp: str | None = None
    isolated: str | None = None  # isolcpus list; "" where none
    user_namespaces: bool | None = None
    perf_counters: bool | None = None  # a hardware counter could really be opened
    memory_available: int | None = None
    disk_free: int | None = None
    python: str = ""
    gpus: tuple[GpuFacts, ...] | None = None
    engine: EngineFacts = field(default_factory=EngineFacts)
