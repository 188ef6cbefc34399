"""What a freshly forked child does before it runs anything it was given: descriptors, limits, identity.

Runs as root with only SETUID, SETGID and KILL, in trusted code; after `become` there is no way back. Order matters:
limits that only root may raise are set first, the identity is dropped last.
"""

from __future__ import annotations

import fcntl
import os
import resource
from typing import Any


def arrange_descriptors(stdout: int | None, sockets: list[int]) -> None:
    """Make 0 /dev/null, 1 and 2 `stdout` (or /dev/null), 3… the given sockets; close everything else."""
    null = os.open("/dev/null", os.O_RDWR)
    wanted = [null, null if stdout is None else stdout, null if stdout is None else stdout, *sockets]
    # Out of the way first, so that no dup2 below overwrites a descriptor that is still needed.
    base = max(*wanted, len(wanted)) + 1
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, base) for fd in wanted]
    for target, fd in enumerate(high):
        os.dup2(fd, target)
    os.closerange(len(wanted), 1 << 16)


def set_limits(limits: dict[str, Any]) -> None:
    """Hard limits, soft = hard. `cpu_seconds` is a backstop above the warden's own, finer one."""
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, int(limits["cpu_seconds"]) + 2),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_SIGPENDING, 128),
    ):
        resource.setrlimit(name, (value, value))


def become(uid: int, oom_score_adj: int) -> None:
    """A session of its own, first in line for the out-of-memory killer, and the uid for good."""
    os.setsid()
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(fd, str(oom_score_adj).encode())
    os.close(fd)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid) or os.getgroups():
        os._exit(70)
