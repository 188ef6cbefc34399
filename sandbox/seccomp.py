"""Our own system-call filter: a short list of what Python needs, everything else refused with EPERM.

`python -m sandbox.seccomp > sandbox/seccomp.json` writes it in the engine's format; the file is checked in, so that
what is enforced can be read and reviewed. The engine is given the text itself (`profile_text`), which works
through a remote DOCKER_HOST as well.

How to read it. The whole container has one filter: warden, judge and candidate. A call is here only if CPython, glibc,
the engine's own start-up (runc loads the filter just before it executes us) or the warden makes it. What needs a
privilege that the candidate has not got may still be missing here on purpose: the filter keeps the kernel's code for it
out of reach. Left out after some thought, because programs could miss them:

* `socket`, `bind`, `connect`, `listen`, `accept`: with stream and packet pairs alone nothing has an address.
* `memfd_create`: an executable file outside the scratch folder's noexec, memory outside the file-size limit.
* `mknod`, `mknodat`: no FIFOs either. `inotify_*`, `fanotify_*`: nobody else's files to watch.
* `sched_setaffinity`, `sched_setscheduler`, `sched_setattr`, `setpriority`, `ioprio_set`: a candidate
  must not move itself.
* `splice`, `tee`, `vmsplice`: much kernel code, no user in the standard library outside `os.splice`.
* `setsockopt`: its options include socket filters. `mlock`: the limit is 0 anyway. `sync`: stalls the whole machine.
* `personality`: turns off address randomisation. `chown`, `setxattr`: nothing to give away.
* `setuid`, `setgid`, `setreuid`, …: the warden's `setresuid` and `setresgid` do.

Only the native architecture is listed, so 32-bit and x32 entries into the kernel are refused as a whole.
"""

from __future__ import annotations

import importlib.resources
import json
import sys
from dataclasses import dataclass
from typing import Any

EPERM, ENOSYS = 1, 38
ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; NEWTIME has no bit in clone's flags.
NEW_NAMESPACES = 0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000
AF_UNIX = 1
SOCK_STREAM, SOCK_SEQPACKET = 1, 5
SOCKET_KIND = 0xFFFF_FFFF & ~(0o4000 | 0o2000000)  # an int, all but SOCK_NONBLOCK and SOCK_CLOEXEC
PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS = 15, 16, 23, 39
ARCH_SET_FS = 0x1002
IOCTLS = {
    "TCGETS": 0x5401,  # isatty: every open() of a text file asks
    "TIOCGWINSZ": 0x5413,  # os.get_terminal_size
    "FIONREAD": 0x541B,  # how much there is to read
    "FIONBIO": 0x5421,  # os.set_blocking, socket.setblocking
    "FIONCLEX": 0x5450,  # os.set_inheritable
    "FIOCLEX": 0x5451,
}


@dataclass(frozen=True, slots=True)
class Match:
    """A condition on one argument: equal to `value`, or with a mask, `argument & mask == value`."""

    index: int
    value: int
    mask: int | None = None

    def as_json(self) -> dict[str, Any]:
        if self.mask is None:
            return {"index": self.index, "value": self.value, "valueTwo": 0, "op": "SCMP_CMP_EQ"}
        return {"index": self.index, "value": self.mask, "valueTwo": self.value, "op": "SCMP_CMP_MASKED_EQ"}


@dataclass(frozen=True, slots=True)
class Group:
    """System calls that are allowed for one reason; with `where`, only if every condition holds."""

    reason: str
    names: str
    where: tuple[Match, ...] = ()

    @property
    def calls(self) -> tuple[str, ...]:
        return tuple(self.names.split())


GROUPS = (
    Group(
        "files: contents",
        "read write pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 lseek ftruncate truncate fallocate"
        " fsync fdatasync fadvise64 sendfile copy_file_range",
    ),
    Group(
        "files: names; openat2 is for the engine's start-up, listxattr because shutil.copy2 fails without an answer",
        "open openat openat2 stat fstat lstat newfstatat statx access faccessat faccessat2 statfs fstatfs getdents64"
        " getcwd chdir fchdir mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink"
        " symlinkat readlink readlinkat chmod fchmod fchmodat utimensat umask listxattr llistxattr flistxattr",
    ),
    Group("descriptors, pipes", "close close_range dup dup2 dup3 fcntl flock pipe pipe2"),
    Group("memory", "brk mmap munmap mremap mprotect madvise msync"),
    Group(
        "threads; rseq and the robust list are set up by glibc at every start",
        "futex set_tid_address set_robust_list rseq gettid sched_yield sched_getaffinity",
    ),
    Group(
        "processes: subprocess, multiprocessing, the zygote; pidfd_open for the warden and asyncio",
        "fork vfork execve exit exit_group wait4 waitid getpid getppid getpgrp getpgid setpgid getsid setsid"
        " pidfd_open",
    ),
    Group("processes and threads, in the namespaces that they have", "clone", (Match(0, 0, NEW_NAMESPACES),)),
    Group("limits (lowering one's own; the hard ones cannot be raised), usage", "prlimit64 getrusage times"),
    Group(
        "signals and alarms; kill reaches one's own uid only",
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack kill tgkill"
        " pause alarm setitimer getitimer restart_syscall",
    ),
    Group(
        "clocks: reading and sleeping",
        "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time",
    ),
    Group(
        "polling: selectors, asyncio; eventfd2 is also the Go runtime's, in the engine's start-up",
        "poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2",
    ),
    Group("identity, reading", "getuid geteuid getgid getegid getresuid getresgid getgroups"),
    Group("identity, dropping: the zygote's children; needs the capability", "setgroups setresuid setresgid"),
    Group("the machine, randomness", "uname sysinfo getrandom"),
    Group("sockets that are open already", "sendmsg recvmsg recvfrom shutdown getsockopt getsockname getpeername"),
    Group("send() without an address", "sendto", (Match(4, 0),)),
    Group(
        "stream pairs: asyncio's wake-up, calls between the roles",
        "socketpair",
        (Match(0, AF_UNIX), Match(1, SOCK_STREAM, SOCKET_KIND)),
    ),
    # No datagram pairs: those can be given, and can send to, an address.
    Group(
        "packet pairs: the warden's line to the zygote",
        "socketpair",
        (Match(0, AF_UNIX), Match(1, SOCK_SEQPACKET, SOCKET_KIND)),
    ),
    Group("a thread's name", "prctl", (Match(0, PR_SET_NAME),)),
    Group("a thread's name", "prctl", (Match(0, PR_GET_NAME),)),
    Group("the warden's self-check: capabilities, no new privileges; reading", "capget"),
    Group("the warden's self-check", "prctl", (Match(0, PR_CAPBSET_READ),)),
    Group("the warden's self-check", "prctl", (Match(0, PR_GET_NO_NEW_PRIVS),)),
    Group("thread-local storage at every start (x86_64)", "arch_prctl", (Match(0, ARCH_SET_FS),)),
    *(Group(f"{name}, and no other request: none that types into a terminal", "ioctl", (Match(1, number),))
      for name, number in IOCTLS.items()),
)  # fmt: skip

# Refused as if the kernel had no such call, so that glibc takes the older one, whose flags a filter can see.
MISSING = Group("its flags are in memory, where a filter cannot look", "clone3")


def _rule(group: Group, **action: Any) -> dict[str, Any]:
    return {
        "names": sorted(group.calls),
        **action,
        "args": [match.as_json() for match in group.where],
        "comment": group.reason,
        "includes": {},
        "excludes": {},
    }


def profile() -> dict[str, Any]:
    """The profile in the engine's format (runc's ERRNO is EPERM where an old engine drops `defaultErrnoRet`)."""
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "archMap": [{"architecture": name, "subArchitectures": []} for name in ARCHITECTURES],
        "syscalls": [
            *(_rule(group, action="SCMP_ACT_ALLOW") for group in GROUPS),
            _rule(MISSING, action="SCMP_ACT_ERRNO", errnoRet=ENOSYS),
        ],
    }


def render() -> str:
    return json.dumps(profile(), indent=1) + "\n"


def profile_text(*, gvisor: bool = False) -> str:
    """The checked-in profile, for `security_opt=["seccomp=" + profile_text()]`.

    gvisor: as gVisor needs it. Debian 12's answers every refused call with EPERM, whatever the profile says, and glibc
    then starts no thread. It has no `clone3` itself: let through, the call gets its ENOSYS from the kernel in between,
    and the probes refuse a gVisor that gives any other answer.
    """
    text = importlib.resources.files("sandbox").joinpath("seccomp.json").read_text("utf-8")
    if not gvisor:
        return text
    known = json.loads(text)
    known["syscalls"] = [rule for rule in known["syscalls"] if not {*MISSING.calls} & {*rule["names"]}]
    known["syscalls"].append(_rule(MISSING, action="SCMP_ACT_ALLOW"))
    return json.dumps(known)


if __name__ == "__main__":
    sys.stdout.write(render())
