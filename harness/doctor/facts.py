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
class LockdownFacts:
    """One container was started as for a run. `error` says what it lacks of its lock-down; empty: nothing."""

    error: str = ""
    fix: str = ""
    seconds: float | None = None  # that it took


@dataclass(frozen=True, slots=True)
class AaFacts:
    """The A/A run: the same programs under other names, timed against each other (harness.doctor.aa).

    `error` is set, and the rest is None, where it could not be made. Spreads, gaps and deltas are shares: 0.1 = 10%.
    """

    error: str = ""
    pairs: int | None = None  # identical pairs with enough rounds and no flag
    decided: int | None = None  # of those; each one is a wrong label
    flagged: int | None = None  # programs that were marked, though nothing is wrong with them: their pairs don't count
    rounds: int | None = None  # that half of the pairs had at least
    spread: float | None = None  # standard deviation of a pair's log-ratio from round to round, median over the pairs
    wide_spread: float | None = None  # nine of ten pairs have at most this one
    widest_gap: float | None = None  # between two that are the same
    delta: float | None = None  # the smallest gap that the first rounds decide
    best_delta: float | None = None  # the smallest gap that all rounds decide
    contaminated: float | None = None  # share of blocks
    redone: float | None = None  # share of samples
    core: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """One machine at one moment. Sizes in bytes, shares from 0 to 1, pressures in percent over the last 10 s."""

    system: str = ""
    cpus: int | None = None  # logical, online
    allowed: tuple[int, ...] | None = None  # logical CPUs that this process may use
    siblings: tuple[tuple[int, ...], ...] | None = None  # logical CPUs by physical core
    numa_nodes: int | None = None
    core_kinds: int | None = None  # among the allowed CPUs; a hybrid processor has several
    quota: float | None = None  # CPUs that a cgroup quota allows; inf: no quota
    throttled: int | None = None  # periods in which the quota stopped us
    throttled_now: int | None = None  # the same, while the machine was looked at
    load: float | None = None  # average over 1 minute
    cpu_pressure: float | None = None
    steal: float | None = None  # share of CPU time taken by the hypervisor since the machine started
    steal_now: float | None = None  # the same on the worst CPU, while the machine was looked at
    watched_seconds: float | None = None  # for how long that was
    virtualisation: str | None = None  # "" on bare metal
    clocksource: str | None = None
    clock_read_ns: float | None = None
    governor: str | None = None  # several, separated by commas, where CPUs differ
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
    lockdown: LockdownFacts | None = None  # None: no container was started
    aa: AaFacts | None = None  # None: left out
