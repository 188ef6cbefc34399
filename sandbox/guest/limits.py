"""What the container's lock-down looks like from inside, and how often memory ran out. Reads only."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

from .clocks import has_clock

_PR_CAPBSET_READ, _PR_GET_NO_NEW_PRIVS = 23, 39
_CAPABILITY_VERSION_3 = 0x2008_0522


class OutOfMemory:
    """Counts the out-of-memory kills in this container (cgroup v2, else v1)."""

    def __init__(self) -> None:
        self._fd = -1
        for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
            try:
                self._fd = os.open(path, os.O_RDONLY)
                break
            except OSError:
                continue

    def kills(self) -> int:
        """So far; 0 where the kernel does not say."""
        if self._fd < 0:
            return 0
        for line in os.pread(self._fd, 4_096, 0).splitlines():
            name, _, value = line.partition(b" ")
            if name == b"oom_kill":
                return int(value)
        return 0


def self_check(scratches: list[str], other: int) -> dict[str, Any]:
    """The warden's own view; the host refuses anything but what it asked for. other: the pid of another process."""
    libc = ctypes.CDLL(None)
    try:
        with open("/.write-test", "w"):
            pass
        read_only = False
    except OSError:
        read_only = True
    return {
        "python": sys.version.split()[0],
        "pid": os.getpid(),
        "capabilities": capabilities(libc),
        "bounding": [number for number in range(64) if libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1],
        "no_new_privileges": libc.prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        "seccomp": filter_mode(),
        "processes_seen": sorted(filter(str.isdigit, os.listdir("/proc"))),
        "clocks_of_others": has_clock(other),
        "read_only": read_only,
        "interfaces": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else [],
        "cpus": sorted(os.sched_getaffinity(0)),
        "memory_limit": _limit("memory.max", "memory/memory.limit_in_bytes"),
        "pids_limit": _limit("pids.max", "pids/pids.max"),
        "scratch_inodes": [os.statvfs(scratch).f_files for scratch in scratches],
        "scratch_bytes": [_size(scratch) for scratch in scratches],
    }


def capabilities(libc: ctypes.CDLL) -> dict[str, list[int]]:
    """The numbers of this process's effective, permitted and inheritable capabilities (capget(2))."""
    header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) != 0:
        raise OSError("capget does not say which capabilities there are")
    return {
        name: [number for number in range(64) if data[3 * (number // 32) + index] >> number % 32 & 1]
        for index, name in enumerate(("effective", "permitted", "inheritable"))
    }


def filter_mode() -> int:
    """Of system calls (proc_pid_status(5), Seccomp): 2 is a filter. 0 also where the kernel does not say (gVisor)."""
    try:
        with open("/proc/self/status") as stream:
            return int(dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line).get("Seccomp", 0))
    except FileNotFoundError:
        return 0


def _size(folder: str) -> int:
    space = os.statvfs(folder)
    return space.f_blocks * space.f_frsize


def _limit(*names: str) -> int | None:
    for name in names:
        try:
            with open(f"/sys/fs/cgroup/{name}") as stream:
                text = stream.read().strip()
                return int(text) if text != "max" else None
        except (OSError, ValueError):
            continue
    return None
