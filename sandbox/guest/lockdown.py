"""What stands between a forked child and what it runs: descriptors, limits, identity.

All of it in trusted code, as root with only SETUID, SETGID and KILL; after `become` there is no way back. What is the
same for every child is done once, by the zygote to itself (`prepare`), and inherited: each line of a child costs copied
pages.
"""

from __future__ import annotations

import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from typing import Any

# Fixed numbers, so that a child need not look for them.
FIRST_FD = 3
JUDGE_UID = 10_001
MAX_FILES = 64  # the zygote's own descriptors stay below this


gvisor = False  # the kernel is gVisor's: it lacks some limits, and there is no /proc


def prepare(settings: dict[str, Any]) -> None:
    """The zygote's own limits and groups, inherited by its children. Hard limits, soft = hard; what only makes sense
    for a child alone comes with `become`."""
    global gvisor  # noqa: PLW0603  # once, at the zygote's start; its children inherit it
    gvisor = settings["gvisor"]
    limits = settings["limits"]
    for name, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, max(limits["open_files"], MAX_FILES)),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_SIGPENDING, 128),
    ):
        lower(name, value)
    gid = settings["gid"]
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    if os.getresgid() != (gid, gid, gid) or os.getgroups():
        raise OSError("the groups could not be dropped")


def lower(name: int, value: int) -> None:
    """Set a limit, soft and hard; one that is lower already cannot be raised and stays."""
    hard = resource.getrlimit(name)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(name, (value, value))
    except ValueError:
        # gVisor's kernel does not let all limits be set. What is missing then shows in the probes (guest/probe.py).
        if not gvisor:
            raise


def arrange_descriptors(count: int) -> None:
    """The child was given descriptors 3, 4, … (`count` of them); the second is its output where it has more than one.
    Leaves 0 /dev/null, 1 and 2 the output or /dev/null, 3 and 4 the sockets; closes everything else."""
    output = 4 if count > 1 else 0
    os.dup2(output, 1)
    os.dup2(output, 2)
    if count == 3:
        os.dup2(5, 4)
    os.closerange(5 if count == 3 else 4, 1 << 16)


def become(uid: int, cpu_seconds: int, processes: int, open_files: int) -> None:
    """A session and limits of its own, and the uid for good. `cpu_seconds`: a backstop above the warden's own limit."""
    lower(resource.RLIMIT_CPU, cpu_seconds)
    lower(resource.RLIMIT_NPROC, processes)
    lower(resource.RLIMIT_NOFILE, open_files)
    if uid != JUDGE_UID and not gvisor:
        # First in line for the out-of-memory killer. Our own processes keep 0: a candidate can get back there by an
        # exec, and is then larger than any of them.
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, b"1000")
        os.close(fd)
    os.setsid()
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid):
        os._exit(70)
