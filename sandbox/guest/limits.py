"""What the container's lock-down looks like from inside, and how often memory ran out. Reads only."""

from __future__ import annotations

import os
import sys
from typing import Any

_PR_GET_NO_NEW_PRIVS = 39


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


def self_check(scratches: list[str]) -> dict[str, Any]:
    """The warden's own view; the host refuses anything but what it asked for."""
    with open("/proc/self/status") as stream:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    try:
        with open("/.write-test", "w"):
            pass
        read_only = False
    except OSError:
        read_only = True
    return {
        "python": sys.version.split()[0],
        "pid": os.getpid(),
        "capabilities": int(status["CapEff"], 16),
        "bounding": int(status["CapBnd"], 16),
        "no_new_privileges": status["NoNewPrivs"].strip() == "1" if "NoNewPrivs" in status else _no_new_privileges(),
        "seccomp": int(status.get("Seccomp", 0)),
        "read_only": read_only,
        "interfaces": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else [],
        "cpus": sorted(os.sched_getaffinity(0)),
        "memory_limit": _limit("memory.max", "memory/memory.limit_in_bytes"),
        "pids_limit": _limit("pids.max", "pids/pids.max"),
        "scratch_inodes": [os.statvfs(scratch).f_files for scratch in scratches],
        "scratch_bytes": [_size(scratch) for scratch in scratches],
    }


def _no_new_privileges() -> bool:
    """Asked of the kernel itself, where /proc does not tell (gVisor)."""
    import ctypes

    return bool(ctypes.CDLL(None).prctl(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)


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
