"""The judgements: pure functions from facts to findings. A check that lacks its fact answers `unknown`, never `ok`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from harness.doctor.facts import MachineFacts
from harness.placement import cpu_list, one_per_core, place

GIB = 1024**3

# Ours, without a source: how much of each disturbance a machine may have before its timings deserve a warning.
# The timing protocol notices and repeats disturbed samples; these limits say when that will cost much time.
MAX_LOAD_SHARE = 0.5  # load per allowed CPU
MAX_PRESSURE_PERCENT = 10.0
MAX_STEAL = 0.01
MAX_STEAL_NOW = 0.05  # of the worst CPU, within a second: there one tick of the kernel's count is 1%
MAX_CLOCK_READ_NS = 1000.0
MIN_MEMORY = 4 * GIB
MIN_DISK = 5 * GIB
MIN_API = (1, 41)  # Docker 20.10: the first with cgroup v2
MIN_PAIRS = 30  # identical pairs that an A/A run takes to say something
MAX_DELTA = 0.15  # gaps above it should nearly all be decided (aim of the timing protocol)


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    UNKNOWN = "unknown"
    ERROR = "error"


class Group(StrEnum):
    ISOLATION = "isolation"
    TIMING = "timing"
    AA = "aa"
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


def lockdown(facts: MachineFacts) -> Finding:
    """Limits that an engine accepts are not always limits that it enforces: one container has to show them."""
    tried = facts.lockdown
    if tried is None:
        return _unknown("lock-down", Group.ISOLATION, "not tried: that takes the engine, the image and a free core")
    if tried.error:
        advice = tried.fix or "update Docker and the kernel: without all of it the sandbox refuses to run"
        return Finding("lock-down", Group.ISOLATION, Status.ERROR, tried.error, advice)
    took = f", in {tried.seconds:.1f} s" if tried.seconds is not None else ""
    found = f"a container was started{took}: from inside, every limit and refusal is as asked for"
    return Finding("lock-down", Group.ISOLATION, Status.OK, found)


def cores(facts: MachineFacts) -> Finding:
    if facts.allowed is None:
        return _unknown("cores", Group.TIMING)
    physical = physical_cores(facts)
    found = f"{len(facts.allowed)} of {facts.cpus or '?'} logical CPUs allowed, {physical or '?'} physical cores"
    if (physical or len(facts.allowed)) < 2:
        advice = "give at least two cores: one is kept for the host side, timings run on the others"
        return Finding("cores", Group.TIMING, Status.WARN, found, advice)
    found += f"; would time on {cpu_list(place(facts.allowed, facts.siblings).timing)}"
    return Finding("cores", Group.TIMING, Status.OK, found)


def physical_cores(facts: MachineFacts) -> int | None:
    """Physical cores among the allowed CPUs; None where the topology is hidden."""
    if facts.siblings is None or facts.allowed is None:
        return None
    return len(one_per_core(facts.allowed, facts.siblings))


def smt(facts: MachineFacts) -> Finding:
    if facts.siblings is None:
        return _unknown("SMT siblings", Group.TIMING)
    shared = [core for core in facts.siblings if len(core) > 1]
    if not shared and facts.virtualisation:
        hidden = "none shown; the machine that this virtual one runs on may still share its cores with others"
        return _unknown("SMT siblings", Group.TIMING, hidden)
    if not shared:
        return Finding("SMT siblings", Group.TIMING, Status.OK, "none: each logical CPU is a core of its own")
    found = f"{len(shared)} cores have two or more logical CPUs"
    advice = "the harness leaves siblings idle, others may not: switch SMT off, or keep other work off the machine"
    return Finding("SMT siblings", Group.TIMING, Status.WARN, found, advice)


def numa(facts: MachineFacts) -> Finding:
    if facts.numa_nodes is None:
        return _unknown("NUMA nodes", Group.TIMING)
    return Finding("NUMA nodes", Group.TIMING, Status.OK, str(facts.numa_nodes))


def kinds(facts: MachineFacts) -> Finding:
    """Hybrid processors. Everything that is compared is timed on one core, but a confirmation may be on another."""
    if facts.core_kinds is None:
        return _unknown("kinds of cores", Group.TIMING)
    if facts.core_kinds == 1:
        return Finding("kinds of cores", Group.TIMING, Status.OK, "one: all are equally fast")
    found = f"{facts.core_kinds}: a hybrid processor"
    advice = "keep the harness on cores of one kind (taskset, --cores): what is quicker on one may not be on the other"
    return Finding("kinds of cores", Group.TIMING, Status.WARN, found, advice)


def quota(facts: MachineFacts) -> Finding:
    if facts.quota is None:
        return _unknown("CPU quota", Group.TIMING)
    if facts.quota == float("inf"):
        return Finding("CPU quota", Group.TIMING, Status.OK, "none")
    found = f"{facts.quota:g} CPUs"
    if facts.throttled:
        found += f", used up in {facts.throttled:,} periods so far"
    if facts.throttled_now:
        found += f" and in {facts.throttled_now} just now"
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
    found = f"{facts.virtualisation or 'bare metal'}; stolen since its start {facts.steal:.2%}"
    if facts.steal_now is not None and facts.watched_seconds is not None:
        found += f", in the last {facts.watched_seconds:.1f} s {facts.steal_now:.0%} of the worst CPU"
    if facts.steal > MAX_STEAL or (facts.steal_now or 0.0) > MAX_STEAL_NOW:
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


def identical(facts: MachineFacts) -> Finding:
    """Programs that are the same must never be told apart."""
    a = facts.aa
    if a is None or a.error or a.pairs is None or a.decided is None:
        return _unknown("identical pairs", Group.AA, (a and a.error) or "left out")
    where = _listed(("core {}", a.core), ("{:.0f} s", a.seconds))
    weather = _listed(
        ("{:.0%} of blocks disturbed", a.contaminated),
        ("{:.0%} of samples redone", a.redone),
        ("{} programs marked without reason", a.flagged or None),
    )
    details = f" ({where})" * bool(where) + f"; {weather}" * bool(weather)
    if a.decided:
        found = f"{a.decided} of {a.pairs} decided: timings on this machine are not to be trusted{details}"
        advice = "stop all other work and run this again; if it stays, time on another machine"
        return Finding("identical pairs", Group.AA, Status.ERROR, found, advice)
    found = f"none of {a.pairs} decided, as it must be{details}"
    if a.pairs < MIN_PAIRS:
        advice = f"{MIN_PAIRS} pairs are wanted, but too much was disturbed: stop other work and run this again"
        return Finding("identical pairs", Group.AA, Status.WARN, found, advice)
    return Finding("identical pairs", Group.AA, Status.OK, found)


def resolution(facts: MachineFacts) -> Finding:
    """The scatter between programs that are the same says which gaps can be seen (δ, see harness.doctor.aa)."""
    a = facts.aa
    if a is None or a.error or a.delta is None:
        return _unknown("gaps that are seen", Group.AA, (a and a.error) or "left out")
    late = None if a.best_delta == a.delta else a.best_delta
    soon = " in the first rounds" * (late is not None)
    found = _listed(("from {:.0%} on" + soon, a.delta), ("from {:.0%} on in all of them", late))
    scatter = _listed(
        ("ratios scatter by {:.1%} from round to round", a.spread),
        ("those of nine pairs in ten by up to {:.1%}", a.wide_spread),
        ("widest gap {:.1%}", a.widest_gap),
    )
    found += f"; {scatter}" * bool(scatter)
    if a.delta > MAX_DELTA:
        advice = "closer pairs take more rounds or stay undecided: stop other work, see to the warnings above"
        return Finding("gaps that are seen", Group.AA, Status.WARN, found, advice)
    return Finding("gaps that are seen", Group.AA, Status.OK, found)


def _listed(*parts: tuple[str, float | None]) -> str:
    """Texts with their values, without those that are not known."""
    return ", ".join(text.format(value) for text, value in parts if value is not None)


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
    engine, cgroups, seccomp, image, privileges, lockdown,
    cores, smt, numa, kinds, quota, load, pressure, steal, clock, frequency, memory_noise, isolation, counters,
    identical, resolution,
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
