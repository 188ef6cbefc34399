"""Another process's time, read from outside it."""

from __future__ import annotations

import time


def process_clock(pid: int) -> int:
    """The clock id of another process's CPU time (Linux: clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


def cpu_ns(pid: int) -> int:
    """CPU time of a process and all its threads so far; 0 if it is gone."""
    try:
        return time.clock_gettime_ns(process_clock(pid))
    except OSError:
        return 0


def has_clock(pid: int) -> bool:
    """Whether the kernel tells that process's CPU time at all."""
    try:
        time.clock_gettime_ns(process_clock(pid))
    except OSError:
        return False
    return True


def run_delay(pid: int) -> int:
    """Nanoseconds that a process has waited for a core so far; 0 where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/schedstat") as stream:
            return int(stream.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
