"""The judgements: pure functions from facts to findings. A check that lacks its fact answers `unknown`, never `ok`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from harness.doctor.facts import MachineFacts

GIB = 1024**3

# Ours, without a source: how much of each disturbance a machine may have before its timings deserve a warning.
# The timing protocol notices and repeats disturbed samples; these limits say when that will cost much time.
MAX_LOAD_SHARE = 0.5  # load per allowed CPU
MAX_PRESSURE_PERCENT = 10.0
MAX_STEAL = 0.01
MAX_CLOCK_READ_NS = 1000.0
MIN_MEMORY = 4 * GIB
MIN_DISK = 5 * GIB
MIN_API = (1, 41)  # Docker 20.10: the first with cgroup v2


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    UNKNOWN = "unknown"
    ERROR = "error"


class Group(StrEnum):
    ISOLATION = "isolation"
    TIMING = "timing"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: what was looked at, how it stands, what was found, and what to do (empty where nothing is)."""

    name: str
    group: Group
    status: Status
    found: str
    advice: str = ""


Check = Callable[[MachineFacts], Finding]


def engine(facts: MachineFacts) -> Finding:
    e = facts.engine
    if e.error:
        return Finding("Docker engine", Group.ISOLATION, Status.ERROR, e.error, e.fix)
    numbers = tuple(int(part) for part in e.api_version.split(".") if part.isdigit())
    if numbers < MIN_API:
        wanted = ".".join(map(str, MIN_API))
        return Finding(
            "Docker engine",
            Group.ISOLATION,
            Status.ERROR,
            f"version {e.version}, API {e.api_version}",
            f"update Docker: API {wanted} or newer is needed",
        )
    return Finding("Docker engine", Group.ISOLATION, Status.OK, f"version {e.version}, API {e.api_version}")


def cgroups(facts: MachineFacts) -> Finding:
    e = facts.engine
    if not e.cgroup_version:
        return _unknown("cgroups", Group.ISOLATION)
    found = f"v{e.cgroup_version}, driver {e.cgroup_driver or '?'}"
    missing = [w.removeprefix("WARNING: ") for w in e.warnings if "limit" in w.lower() and "No " in w]
    if e.cgroup_driver == "none":
        advice = "rootless Docker needs cgroup v2 with delegated controllers (systemd) to limit memory and processes"
        return Finding("cgroups", Group.ISOLATION, Status.ERROR, f"{found}: limits can't be set", advice)
    # Swap accounting is the one that many kernels lack; the sandbox checks each limit itself before it runs anything.
    if missing:
        advice = "enable them at boot (cgroup_enable=memory swapaccount=1); the sandbox refuses to run without them"
        return Finding("cgroups", Group.ISOLATION, Status.WARN, f"{found}; {'; '.join(missing)}", advice)
    return Finding("cgroups", Group.ISOLATION, Status.OK, found)


def seccomp(facts: MachineFacts) -> Finding:
    e = facts.engine
    if e.error:
        return _unknown("seccomp", Group.ISOLATION)
    if any("name=seccomp" in entry for entry in e.security):
        return Finding("seccomp", Group.ISOLATION, Status.OK, "the engine can filter system calls")
    advice = "use a kernel and an engine with seccomp: without it the sandbox refuses to run"
    return Finding("seccomp", Group.ISOLATION, Status.ERROR, "the engine can't filter system calls", advice)


def image(facts: MachineFacts) -> Finding:
    e = facts.engine
    if e.error:
        return _unknown("sandbox image", Group.ISOLATION)
    if e.image is None:
        advice = "`make setup` builds it (or `python -m sandbox image build`)"
        return Finding("sandbox image", Group.ISOLATION, Status.WARN, "not built for the present sources", advice)
    base = (e.base or "?").partition("@")[0]
    return Finding("sandbox image", Group.ISOLATION, Status.OK, f"{e.image.rpartition(':')[2]}, on {base}")


def privileges(facts: MachineFacts) -> Finding:
    """Root in a container of a rootful engine is the host's root; a second wall is worth knowing about."""
    e = facts.engine
    if e.error:
        return _unknown("engine's privileges", Group.ISOLATION)
    walls = [w for w in ("rootless", "userns") if any(f"name={w}" in entry for entry in e.security)]
    extra = [r for r in e.runtimes if "runsc" in r]
    if walls or extra:
        return Finding("engine's privileges", Group.ISOLATION, Status.OK, ", ".join(walls + extra))
    found = "rootful, no user namespaces"
    if facts.user_namespaces is False:
        found += " (the kernel has them switched off)"
    advice = "optional second wall: rootless Docker, userns-remap in daemon.json, or gVisor (--runtime runsc)"
    return Finding("engine's privileges", Group.ISOLATION, Status.WARN, found, advice)


def cores(facts: MachineFacts) -> Finding:
    if facts.allowed is None:
        return _unknown("cores", Group.TIMING)
    physical = physical_cores(facts)
    found = f"{len(facts.allowed)} of {facts.cpus or '?'} logical CPUs allowed, {physical or '?'} physical cores"
    if (physical or len(facts.allowed)) < 2:
        advice = "give at least two cores: one is kept for the host side, timings run on the others"
        return Finding("cores", Group.TIMING, Status.WARN, found, advice)
    return Finding("cores", Group.TIMING, Status.OK, found)


def physical_cores(facts: MachineFacts) -> int | None:
    """Physical cores among the allowed CPUs; None where the topology is hidden."""
    if facts.siblings is None or facts.allowed is None:
        return None
    return sum(1 for core in facts.siblings if set(core) & set(facts.allowed))


def smt(facts: MachineFacts) -> Finding:
    if facts.siblings is None:
        return _unknown("SMT siblings", Group.TIMING)
    shared = [core for core in facts.siblings if len(core) > 1]
    if not shared:
        return Finding("SMT siblings", Group.TIMING, Status.OK, "none: each logical CPU is a core of its own")
    found = f"{len(shared)} cores have two or more logical CPUs"
    advice = "the harness leaves siblings idle, others may not: switch SMT off, or keep other work off the machine"
    return Finding("SMT siblings", Group.TIMING, Status.WARN, found, advice)


def topology(facts: MachineFacts) -> Finding:
    if facts.numa_nodes is None:
        return _unknown("NUMA and hybrid cores", Group.TIMING)
    kinds = len(set(facts.max_frequencies or ()))
    found = f"{facts.numa_nodes} NUMA node{'s' if facts.numa_nodes > 1 else ''}"
    if kinds > 1:
        advice = "pin the harness to cores of one kind (taskset): solutions are compared on one core, but cores differ"
        return Finding("NUMA and hybrid cores", Group.TIMING, Status.WARN, f"{found}, {kinds} kinds of cores", advice)
    return Finding("NUMA and hybrid cores", Group.TIMING, Status.OK, found)


def quota(facts: MachineFacts) -> Finding:
    if facts.quota is None:
        return _unknown("CPU quota", Group.TIMING)
    if facts.quota == float("inf"):
        return Finding("CPU quota", Group.TIMING, Status.OK, "none")
    found = f"{facts.quota:g} CPUs" + (f", throttled in {facts.throttled} periods" if facts.throttled else "")
    advice = "give whole cores (cpuset) instead of a quota: a quota stops a run in the middle of a timing"
    return Finding("CPU quota", Group.TIMING, Status.WARN, found, advice)


def load(facts: MachineFacts) -> Finding:
    if facts.load is None or not (facts.allowed or facts.cpus):
        return _unknown("load", Group.TIMING)
    count = facts.cpus or len(facts.allowed or ())
    found = f"{facts.load:.2f} on {count} CPUs over the last minute"
    if facts.load / count > MAX_LOAD_SHARE:
        advice = "other work is running: timings stay honest but take longer, and more pairs stay undecided"
        return Finding("load", Group.TIMING, Status.WARN, found, advice)
    return Finding("load", Group.TIMING, Status.OK, found)


def pressure(facts: MachineFacts) -> Finding:
    if facts.cpu_pressure is None:
        return _unknown("CPU pressure", Group.TIMING, "the kernel has no PSI (psi=1 at boot switches it on)")
    found = f"{facts.cpu_pressure:.1f}% of the last 10 s"
    if facts.cpu_pressure > MAX_PRESSURE_PERCENT:
        return Finding("CPU pressure", Group.TIMING, Status.WARN, found, "processes wait for a CPU: stop other work")
    return Finding("CPU pressure", Group.TIMING, Status.OK, found)


def steal(facts: MachineFacts) -> Finding:
    if facts.steal is None or facts.virtualisation is None:
        return _unknown("virtual machine, steal", Group.TIMING)
    where = facts.virtualisation or "bare metal"
    found = f"{where}, {facts.steal:.2%} stolen since start"
    if facts.steal > MAX_STEAL:
        advice = "the host is overbooked: use dedicated CPUs, or expect more repeated samples"
        return Finding("virtual machine, steal", Group.TIMING, Status.WARN, found, advice)
    return Finding("virtual machine, steal", Group.TIMING, Status.OK, found)


def clock(facts: MachineFacts) -> Finding:
    if facts.clocksource is None or facts.clock_read_ns is None:
        return _unknown("clock", Group.TIMING)
    found = f"{facts.clocksource}, one reading takes {facts.clock_read_ns:.0f} ns"
    if facts.clock_read_ns > MAX_CLOCK_READ_NS:
        advice = "a slow clock source: choose tsc or kvm-clock (/sys/devices/system/clocksource)"
        return Finding("clock", Group.TIMING, Status.WARN, found, advice)
    return Finding("clock", Group.TIMING, Status.OK, found)


def frequency(facts: MachineFacts) -> Finding:
    if facts.governor is None and facts.turbo is None:
        return _unknown("CPU frequency", Group.TIMING, "not visible (usual in a virtual machine)")
    turbo = {True: "on", False: "off", None: "not visible"}[facts.turbo]
    found = f"governor {facts.governor or 'not visible'}, turbo {turbo}"
    advice = []
    if facts.governor not in (None, "performance"):
        advice.append("set the governor: cpupower frequency-set -g performance")
    if facts.turbo:
        advice.append("turbo makes the speed depend on heat and on neighbours: switch it off for timing runs")
    status = Status.WARN if advice else Status.OK
    return Finding("CPU frequency", Group.TIMING, status, found, "; ".join(advice))


def memory_noise(facts: MachineFacts) -> Finding:
    if facts.swap_used is None or facts.thp is None:
        return _unknown("swap and huge pages", Group.TIMING)
    found = f"{size(facts.swap_used)} swapped out, transparent huge pages: {facts.thp}"
    if facts.swap_used > 0:
        advice = "memory was short: free some, then swapoff -a && swapon -a"
        return Finding("swap and huge pages", Group.TIMING, Status.WARN, found, advice)
    return Finding("swap and huge pages", Group.TIMING, Status.OK, found)


def isolation(facts: MachineFacts) -> Finding:
    if facts.isolated is None:
        return _unknown("isolated CPUs", Group.TIMING)
    found = facts.isolated or "none (isolcpus would keep the kernel's scheduler off the timed cores)"
    return Finding("isolated CPUs", Group.TIMING, Status.OK, found)


def counters(facts: MachineFacts) -> Finding:
    if facts.perf_counters is None:
        return _unknown("hardware counters", Group.TIMING)
    found = "can be opened" if facts.perf_counters else "can't be opened; the CPU clock is used, which needs none"
    return Finding("hardware counters", Group.TIMING, Status.OK, found)


def memory(facts: MachineFacts) -> Finding:
    if facts.memory_available is None:
        return _unknown("memory", Group.ROOM)
    found = f"{size(facts.memory_available)} available"
    if facts.memory_available < MIN_MEMORY:
        return Finding("memory", Group.ROOM, Status.WARN, found, f"{size(MIN_MEMORY)} or more are comfortable")
    return Finding("memory", Group.ROOM, Status.OK, found)


def disk(facts: MachineFacts) -> Finding:
    if facts.disk_free is None:
        return _unknown("disk", Group.ROOM)
    found = f"{size(facts.disk_free)} free"
    if facts.disk_free < MIN_DISK:
        return Finding("disk", Group.ROOM, Status.WARN, found, f"{size(MIN_DISK)} or more: models and images are large")
    return Finding("disk", Group.ROOM, Status.OK, found)


def gpu(facts: MachineFacts) -> Finding:
    if facts.gpus is None:
        return _unknown("GPU", Group.ROOM)
    if not facts.gpus:
        found = "none: small models run on the CPU (`make demo`), large ones need a GPU"
        return Finding("GPU", Group.ROOM, Status.OK, found)
    found = ", ".join(f"{g.name} ({size(g.memory_bytes)})" for g in facts.gpus)
    return Finding("GPU", Group.ROOM, Status.OK, found)


CHECKS: tuple[Check, ...] = (
    engine, cgroups, seccomp, image, privileges,
    cores, smt, topology, quota, load, pressure, steal, clock, frequency, memory_noise, isolation, counters,
    memory, disk, gpu,
)  # fmt: skip


def examine(facts: MachineFacts) -> list[Finding]:
    return [check(facts) for check in CHECKS]


def exit_code(findings: list[Finding]) -> int:
    """1 where something must be mended before a run, else 0."""
    return 1 if any(f.status is Status.ERROR for f in findings) else 0


def size(count: int) -> str:
    return f"{count / GIB:.1f} GiB"


def _unknown(name: str, group: Group, found: str = "not visible here") -> Finding:
    return Finding(name, group, Status.UNKNOWN, found)
