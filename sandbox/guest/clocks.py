"""Another process's time, read from outside it."""

from __future__ import annotations

import os
import time

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def process_clock(pid: int) -> int:
    """The clock id of another process's CPU time (Linux: clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


def cpu_ns(pid: int) -> int:
    """CPU time of a process and all its threads so far; 0 if it is gone."""
    try:
        return time.clock_gettime_ns(process_clock(pid))
    except OSError:
        return 0 if CLOCKS_OF_OTHERS else _ticks(pid) * _TICK_NS


def _ticks(pid: int) -> int:
    """User and system time in clock ticks, from /proc: for kernels (gVisor's) that do not know others' clocks."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, ValueError, IndexError):
        return 0


def _others_have_clocks() -> bool:
    try:
        time.clock_gettime_ns(process_clock(os.getpid()))
    except OSError:
        return False
    return True


CLOCKS_OF_OTHERS = _others_have_clocks()


def run_delay(pid: int) -> int:
    """Nanoseconds that a process has waited for a core so far; 0 where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/schedstat") as stream:
            return int(stream.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
