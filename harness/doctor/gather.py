"""Looks at the machine. Reads only; what can't be read becomes None."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from harness.core_locks import CPU_FOLDER, read_siblings
from harness.doctor.facts import EngineFacts, GpuFacts, MachineFacts
from harness.placement import parse_cpu_list
from sandbox.engine import connect
from sandbox.errors import SandboxError
from sandbox.image import find_image

MIB = 1024 * 1024
SAME_KIND = 1.1  # cores whose speeds differ by less are of one kind: favoured cores boost a little higher
LEAST_WATCH_SECONDS = 0.25  # the kernel counts stolen time in hundredths of a second


def gather(root: Path) -> MachineFacts:
    """All facts that are there to be read; nothing is started. root: where runs are kept, for the disk check."""
    allowed = _allowed()
    return MachineFacts(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=psutil.cpu_count(),
        allowed=allowed,
        siblings=read_siblings(),
        numa_nodes=_numa_nodes(),
        core_kinds=_core_kinds(allowed),
        quota=_quota(),
        throttled=_throttled(),
        load=os.getloadavg()[0],
        cpu_pressure=_cpu_pressure(),
        steal=_steal(),
        virtualisation=_virtualisation(),
        clocksource=_text(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        clock_read_ns=_clock_read_ns(),
        governor=_governor(),
        turbo=_turbo(),
        swap_used=psutil.swap_memory().used,
        thp=_chosen(_text(Path("/sys/kernel/mm/transparent_hugepage/enabled"))),
        isolated=_text(CPU_FOLDER / "isolated"),
        user_namespaces=_user_namespaces(),
        perf_counters=_perf_counters(),
        memory_available=psutil.virtual_memory().available,
        disk_free=_disk_free(root),
        python=platform.python_version(),
        gpus=_gpus(),
        engine=engine_facts(),
    )


def engine_facts() -> EngineFacts:
    try:
        client = connect(timeout=20)
    except SandboxError as error:
        return EngineFacts(error=error.what, fix=error.fix)
    try:
        info = client.info()
        image = find_image(client)
        return EngineFacts(
            version=str(info.get("ServerVersion", "")),
            api_version=str(client.version().get("ApiVersion", "")),
            cgroup_version=str(info.get("CgroupVersion", "")),
            cgroup_driver=str(info.get("CgroupDriver", "")),
            security=tuple(info.get("SecurityOptions") or ()),
            runtimes=tuple(info.get("Runtimes") or ()),
            warnings=tuple(info.get("Warnings") or ()),
            data_root=str(info.get("DockerRootDir", "")),
            image=image.tag if image else None,
            base=image.base if image else None,
        )
    except SandboxError as error:
        return EngineFacts(error=error.what, fix=error.fix)
    finally:
        client.close()


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _chosen(text: str | None) -> str | None:
    """The bracketed word of a kernel switch: "always [madvise] never" → "madvise"."""
    if text is None:
        return None
    return text.partition("[")[2].partition("]")[0] or text


def _allowed() -> tuple[int, ...] | None:
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None


def _numa_nodes() -> int | None:
    return len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or None


def _core_kinds(allowed: tuple[int, ...] | None) -> int | None:
    """By the kernel's own lists of a hybrid processor's cores, else by how fast the kernel takes each to be."""
    cpus = set(allowed or ())
    lists = [_text(path) for path in Path("/sys/devices").glob("cpu_*/cpus")]  # cpu_core, cpu_atom, cpu_lowpower
    if found := sum(1 for text in lists if text and cpus & set(parse_cpu_list(text))):
        return found
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        texts = [_text(CPU_FOLDER / f"cpu{cpu}" / name) for cpu in cpus]
        values = [int(text) for text in texts if text and text.isdigit()]
        if values:
            return count_kinds(values)
    return None


def count_kinds(speeds: Iterable[int]) -> int:
    """How many clearly different speeds there are."""
    kinds, least = 0, 0.0
    for speed in sorted(speeds):
        if not kinds or speed > SAME_KIND * least:
            kinds, least = kinds + 1, speed
    return kinds


def _governor() -> str | None:
    texts = {_text(path) for path in CPU_FOLDER.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    return ", ".join(sorted(text for text in texts if text)) or None


def parse_quota(text: str) -> float | None:
    """cgroup v2 `cpu.max` ("max 100000", "150000 100000") or v1 quota and period ("-1 100000"): CPUs allowed."""
    words = text.split()
    if len(words) != 2:
        return None
    if words[0] in ("max", "-1"):
        return float("inf")
    return int(words[0]) / int(words[1])


def _quota() -> float | None:
    """The tightest quota on our own cgroup or one above it, as far as they can be seen."""
    quotas = []
    for folder in _cpu_cgroups():
        text = _text(folder / "cpu.max")
        if text is None:
            v1 = (_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))
            text = " ".join(part for part in v1 if part)
        value = parse_quota(text)
        if value is not None:
            quotas.append(value)
    if quotas:
        return min(quotas)
    # The root group has no quota file in v2, and can't have a quota.
    return float("inf") if Path("/sys/fs/cgroup/cgroup.controllers").exists() else None


def _throttled() -> int | None:
    """Periods in which the quota was used up: of our cgroup or the one above it where that was most often."""
    counts = [
        int(line.split()[1])
        for folder in _cpu_cgroups()
        for line in (_text(folder / "cpu.stat") or "").splitlines()
        if line.startswith("nr_throttled ")
    ]
    return max(counts, default=None)


def _cpu_cgroups() -> list[Path]:
    """Our cgroup's folder in the CPU hierarchy and all above it, innermost first."""
    for line in (_text(Path("/proc/self/cgroup")) or "").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and (Path("/sys/fs/cgroup") / "cgroup.controllers").exists():
            top = Path("/sys/fs/cgroup")
        elif "cpu" in controllers.split(","):
            top = Path("/sys/fs/cgroup") / ("cpu,cpuacct" if "," in controllers else "cpu")
        else:
            continue
        own = top / path.strip("/")
        return [folder for folder in (own, *own.parents) if folder.is_relative_to(top) and folder.exists()]
    return []


def _cpu_pressure() -> float | None:
    for word in (_text(Path("/proc/pressure/cpu")) or "").split():
        if word.startswith("avg10="):
            return float(word.removeprefix("avg10="))
    return None


def _steal() -> float | None:
    return _stolen(psutil.cpu_times())


def _stolen(times: Any) -> float | None:
    """The share that the hypervisor took of some CPU times."""
    total = sum(times)
    return float(times.steal) / total if hasattr(times, "steal") and total else None


class Watch:
    """Counts steal and throttling from its making on."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._times, self._throttled = psutil.cpu_times(percpu=True), _throttled()

    def added_to(self, facts: MachineFacts, seconds: float = 0.0) -> MachineFacts:
        """The facts with what was counted. Waits until `seconds` have passed since the start."""
        time.sleep(max(0.0, self._begin + seconds - time.monotonic()))
        watched = time.monotonic() - self._begin
        now, throttled = psutil.cpu_times(percpu=True), _throttled()
        shares: list[float | None] = []
        if watched >= LEAST_WATCH_SECONDS and len(now) == len(self._times):
            for before, after in zip(self._times, now, strict=True):
                passed = (late - early for early, late in zip(before, after, strict=True))
                shares.append(_stolen(type(after)(*passed)))
        both = throttled is not None and self._throttled is not None
        return replace(
            facts,
            steal_now=max((share for share in shares if share is not None), default=None),
            throttled_now=(throttled or 0) - (self._throttled or 0) if both else None,
            watched_seconds=watched,
        )


def _virtualisation() -> str | None:
    cpuinfo = _text(Path("/proc/cpuinfo"))
    if cpuinfo is None:
        return None
    if "hypervisor" not in cpuinfo.partition("flags")[2].partition("\n")[0].split():
        return ""
    vendor = _text(Path("/sys/class/dmi/id/sys_vendor"))
    return f"virtual machine ({vendor})" if vendor else "virtual machine"


def _clock_read_ns() -> float:
    """The cheapest of a few averages over 1,000 readings of the process CPU clock."""
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter_ns()
        for _ in range(1000):
            time.process_time_ns()
        best = min(best, (time.perf_counter_ns() - begin) / 1000)
    return best


def _turbo() -> bool | None:
    no_turbo = _text(CPU_FOLDER / "intel_pstate/no_turbo")
    if no_turbo is not None:
        return no_turbo == "0"
    boost = _text(CPU_FOLDER / "cpufreq/boost")
    return boost == "1" if boost is not None else None


def _user_namespaces() -> bool | None:
    for name in ("kernel/unprivileged_userns_clone", "user/max_user_namespaces"):
        text = _text(Path("/proc/sys") / name)
        if text is not None and text.isdigit():
            return int(text) > 0
    return None


def _perf_counters() -> bool | None:
    """Try to open a cycle counter: the setting that forbids it says nothing about whether the machine has one."""
    numbers = {"x86_64": 298, "aarch64": 241}
    if platform.system() != "Linux" or platform.machine() not in numbers:
        return None
    size = 64  # PERF_ATTR_SIZE_VER0
    attribute = ctypes.create_string_buffer(size)
    # type 0: hardware; size; config 0: cycles; then exclude_kernel and exclude_hv (bits 5 and 6 of the flags)
    ctypes.memmove(attribute, (0).to_bytes(4, "little") + size.to_bytes(4, "little"), 8)
    ctypes.memmove(ctypes.addressof(attribute) + 40, (0b1100000).to_bytes(8, "little"), 8)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(numbers[platform.machine()], attribute, 0, -1, -1, 0)
    if descriptor < 0:
        return False
    os.close(descriptor)
    return True


def _disk_free(root: Path) -> int | None:
    place = root.absolute()
    while not place.exists():
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def _gpus() -> tuple[GpuFacts, ...] | None:
    """NVIDIA GPUs by the driver's own tool (torch takes seconds to load)."""
    if not shutil.which("nvidia-smi"):
        return () if not Path("/dev/nvidia0").exists() and not Path("/dev/kfd").exists() else None
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(query, check=True, capture_output=True, text=True, timeout=20).stdout  # noqa: S603  # fixed
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_gpus(text)


def parse_gpus(text: str) -> tuple[GpuFacts, ...]:
    """Lines "name, MiB" of nvidia-smi."""
    gpus = []
    for line in text.splitlines():
        name, comma, mebibytes = line.rpartition(",")
        if comma and mebibytes.strip().isdigit():
            gpus.append(GpuFacts(name.strip(), int(mebibytes) * MIB))
    return tuple(gpus)
