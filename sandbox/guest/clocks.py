"""Another process's time, read from outside it."""

from __future__ import annotations

import time


def process_clock(pid: int) -> int:
    """The clock id of another process's CPU time (Linux: clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


def cpu_ns(pid: int) -> int:
    try:
        return time.clock_gettime_ns(process_clock(pid))
    except OSError:  # it is gone
        return 0


def run_delay(pid: int) -> int:
    """Nanoseconds that a process has waited for a core so far; 0 where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/schedstat") as stream:
            return int(stream.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
