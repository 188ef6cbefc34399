"""Judges what a container's probes found (`sandbox/guest/probe.py`). Pure; fails closed: what is not known to be right,
a missing answer included, is a problem."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox import seccomp
from sandbox.guest import probe

FILTERED = frozenset(label for label, _, _ in (*probe.CALLS, *probe.CHILD_CALLS)) | {
    "sched_setaffinity",
    "kill parent",
    "mknod device",
    "mknod FIFO",
}
X86_ONLY = frozenset({"iopl", "ioperm", "modify_ldt", "x32", "int 0x80"})
CALL_REFUSALS = frozenset({"refused EPERM", "refused ENOSYS"})
# gVisor's kernel is its own: it says so in these words for what it does not have, filter or not.
GVISOR_REFUSALS = CALL_REFUSALS | {"reached ENOSYS", "reached EINVAL", "reached EAFNOSUPPORT", "reached EACCES"}
# What gVisor's kernel lacks, found by running the probes in it (docs/adr/0006). None of it leads out of the container.
GVISOR_LACKS = {
    "too many processes": "allowed",  # no such limit; the engine's pids and memory limits hold the whole sandbox
    "too many names": "allowed: holds 0 files",  # a tmpfs without an inode count; its size still bounds it
    "limit MSGQUEUE": "is (819200, 819200), not 0",  # cannot be set; mq_open is refused
    "devices": "/dev/fuse, /dev/net/tun",  # of the kernel in between, not of the host
}
# An error that is not about permission (too many open files) proves nothing; a file that is not there does no harm.
FILE_REFUSALS = frozenset({"refused EPERM", "refused EACCES", "refused EROFS", "refused ENOENT"})
EXACT = {
    "too many processes": frozenset({"refused EAGAIN"}),
    "too many files": frozenset({"refused EMFILE"}),
    "too large a file": frozenset({"refused EFBIG"}),
    "too much memory": frozenset({"refused ENOMEM"}),
    "core dump": frozenset({"refused"}),
    "full scratch": frozenset({"refused ENOSPC"}),
    "too many names": frozenset({"refused ENOSPC"}),
    "execute from scratch": frozenset({"refused EACCES", "refused EPERM"}),
    "x32": CALL_REFUSALS | {"refused SIGSYS"},
    "int 0x80": CALL_REFUSALS
    | {"refused SIGSYS", "refused SIGSEGV", "refused EBADF"},  # the last two: a kernel without 32-bit calls, and gVisor
}
FILE_PROBES = frozenset(label for label, _, _ in probe.FILES) | {label for label, _ in probe.FOLDERS} | {"write cgroup"}


def acceptable(name: str, runtime: str | None = None) -> frozenset[str]:
    """The answers to a probe that are as they should be."""
    if runtime and "runsc" in runtime:
        if name in seccomp.MISSING.calls:
            return frozenset({"refused ENOSYS"})  # not filtered there (`seccomp.profile_text`)
        own = frozenset({GVISOR_LACKS[name]}) if name in GVISOR_LACKS else frozenset()
        return _acceptable(name) | own | (GVISOR_REFUSALS if name in FILTERED else frozenset())
    return _acceptable(name)


def _acceptable(name: str) -> frozenset[str]:
    if name in EXACT:
        return EXACT[name]
    if name in FILTERED:
        return CALL_REFUSALS
    if name in FILE_PROBES:
        return FILE_REFUSALS
    if name.startswith("raise "):
        return frozenset({"refused EPERM"})
    if name == "machine":
        return frozenset(probe.MACHINES)
    return frozenset({"fine"})


def probe_problems(facts: Mapping[str, str], runtime: str | None = None) -> list[str]:
    """All that is not as it should be, in words for people; empty if the lock-down holds.

    facts: probe → answer, as `probe.run` gives them. runtime: the engine's name for the container's runtime; one with
    "runsc" in it is gVisor, which must be set up with `--oci-seccomp` to apply our filter at all.
    """
    problems = []
    for name in sorted(probe.NAMES | set(facts)):
        fact = facts.get(name)
        if fact is None:
            problems.append(f"{name}: not probed")
        elif fact == "absent" and name in X86_ONLY and facts.get("machine") == "aarch64":
            continue
        elif fact not in acceptable(name, runtime):
            problems.append(f"{name}: {fact}")
    return problems
