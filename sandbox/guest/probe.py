"""Tries what a candidate must not be able to do, and says what came of it.

Run once per container, in a child that has become a candidate (`lockdown`) and before anything of a solution is read,
so the answers can be believed. What must come out is decided on the host (`sandbox/lockdown_report.py`).

A forbidden system call is really made, by its number, with arguments that do no harm should the kernel take it: a null
pointer, a descriptor of -1, a request that exists nowhere, a change to what already is. Then any error but the filter's
says that the call reached the kernel:

    "refused EPERM"    the filter, or a missing capability, or a limit stopped it
    "reached EFAULT"   nothing stopped it but our own bad arguments
    "allowed"          it worked
    "absent"           this machine's architecture has no such call

By itself, as root in a container of the image: `python3 -m guest.probe '{"uid": …, "limits": {…}}'` prints the answers
as JSON, and adds `foreign_calls`, each of which the kernel logs.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import candidate, lockdown, wire
from .limits import capabilities, filter_mode

X86_64, AARCH64 = 0, 1
MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}

# Name: number on x86_64, on aarch64.
NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "accept4": (288, 242), "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171), "bind": (49, 200),
    "bpf": (321, 280), "chroot": (161, 51), "clock_adjtime": (305, 266), "clock_settime": (227, 112),
    "clone": (56, 220), "clone3": (435, 435), "connect": (42, 203), "delete_module": (176, 106),
    "execveat": (322, 281), "fanotify_init": (300, 262), "finit_module": (313, 273), "fsmount": (432, 432),
    "fsopen": (430, 430), "init_module": (175, 105), "inotify_init1": (294, 26), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioctl": (16, 29), "ioperm": (173, None),
    "iopl": (172, None), "ioprio_set": (251, 30), "kcmp": (312, 272), "kexec_load": (246, 104), "keyctl": (250, 219),
    "kill": (62, 129), "landlock_create_ruleset": (444, 444), "listen": (50, 201), "lookup_dcookie": (212, 18),
    "mbind": (237, 235), "memfd_create": (319, 279), "memfd_secret": (447, 447), "migrate_pages": (256, 238),
    "mknodat": (259, 33), "mlock": (149, 228), "modify_ldt": (154, None), "mount": (165, 40),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "move_pages": (279, 239), "mq_open": (240, 180),
    "msgget": (68, 186), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "prctl": (157, 167), "process_madvise": (440, 440),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "reboot": (169, 142), "request_key": (249, 218), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "seccomp": (317, 277), "semget": (64, 190),
    "set_mempolicy": (238, 237), "setdomainname": (171, 162), "setgid": (106, 144), "setgroups": (116, 159),
    "sethostname": (170, 161), "setns": (308, 268), "setpriority": (141, 140), "setresgid": (119, 149),
    "setresuid": (117, 147), "settimeofday": (164, 170), "setuid": (105, 146), "shmget": (29, 194),
    "signalfd4": (289, 74), "socket": (41, 198), "socketpair": (53, 199), "splice": (275, 76), "swapoff": (168, 225),
    "swapon": (167, 224), "syslog": (103, 116), "tee": (276, 77), "timerfd_create": (283, 85), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282), "vmsplice": (278, 75),
}  # fmt: skip

AT_FDCWD = -100
PR_GET_NO_NEW_PRIVS = 39
NEWUSER, NEWNET = 0x1000_0000, 0x4000_0000
PTRACE_TRACEME, PTRACE_ATTACH = 0, 16
NOT_AN_ADDRESS = 1  # no process has memory there
NO_KEY = 0x5EED_C0DE
STREAM, DATAGRAM, RAW, PACKET = 1, 2, 3, 5

# What to try: label, call, arguments. One that works and gives a descriptor has it closed at once.
CALLS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("socket AF_UNIX", "socket", (1, STREAM, 0)),
    ("socket AF_INET", "socket", (2, DATAGRAM, 0)),
    ("socket AF_INET6", "socket", (10, DATAGRAM, 0)),
    ("socket AF_NETLINK", "socket", (16, RAW, 0)),
    ("socket AF_PACKET", "socket", (17, RAW, 0)),
    ("socket AF_ALG", "socket", (38, PACKET, 0)),
    ("socket AF_VSOCK", "socket", (40, STREAM, 0)),
    ("socketpair AF_INET", "socketpair", (2, STREAM, 0, 0)),
    ("socketpair datagram", "socketpair", (1, DATAGRAM, 0, 0)),
    ("bind", "bind", (-1, 0, 0)),
    ("connect", "connect", (-1, 0, 0)),
    ("listen", "listen", (-1, 0)),
    ("accept4", "accept4", (-1, 0, 0, 0)),
    ("ptrace ATTACH 1", "ptrace", (PTRACE_ATTACH, 1, 0, 0)),
    ("process_vm_readv", "process_vm_readv", (1, 0, 0, 0, 0, 0)),
    ("process_vm_writev", "process_vm_writev", (1, 0, 0, 0, 0, 0)),
    ("pidfd_getfd", "pidfd_getfd", (-1, 0, 0)),
    ("pidfd_send_signal", "pidfd_send_signal", (-1, 0, 0, 0)),
    ("process_madvise", "process_madvise", (-1, 0, 0, 0, 0)),
    ("kcmp", "kcmp", (1, 1, 99, 0, 0)),
    ("name_to_handle_at", "name_to_handle_at", (AT_FDCWD, 0, 0, 0, 0)),
    ("open_by_handle_at", "open_by_handle_at", (-1, 0, 0)),
    ("mq_open", "mq_open", (0, 0, 0, 0)),
    ("shmget", "shmget", (NO_KEY, 1, 0)),
    ("msgget", "msgget", (NO_KEY, 0)),
    ("semget", "semget", (NO_KEY, 0, 0)),
    ("keyctl", "keyctl", (9_999, 0, 0, 0, 0)),
    ("add_key", "add_key", (0, 0, 0, 0, 0)),
    ("request_key", "request_key", (0, 0, 0, 0)),
    ("io_uring_setup", "io_uring_setup", (1, 0)),
    ("io_uring_enter", "io_uring_enter", (-1, 0, 0, 0, 0, 0)),
    ("io_uring_register", "io_uring_register", (-1, 0, 0, 0)),
    ("bpf", "bpf", (0, 0, 0)),
    ("userfaultfd", "userfaultfd", (1,)),  # UFFD_USER_MODE_ONLY: what the unprivileged may have
    ("setns", "setns", (-1, 0)),
    ("mount", "mount", (0, 0, 0, 0, 0)),
    ("umount2", "umount2", (0, 0)),
    ("pivot_root", "pivot_root", (0, 0)),
    ("chroot", "chroot", (0,)),
    ("open_tree", "open_tree", (-1, 0, 0)),
    ("fsopen", "fsopen", (0, 0)),
    ("fsmount", "fsmount", (-1, 0, 0)),
    ("move_mount", "move_mount", (-1, 0, -1, 0, 0)),
    ("mount_setattr", "mount_setattr", (-1, 0, 0, 0, 0)),
    ("quotactl", "quotactl", (0xFFFF_FFFF, 0, 0, 0)),
    ("perf_event_open", "perf_event_open", (0, 0, -1, -1, 0)),
    ("clone3", "clone3", (0, 0)),
    ("sched_setscheduler", "sched_setscheduler", (0, -1, 0)),
    ("sched_setparam", "sched_setparam", (0, 0)),
    ("sched_setattr", "sched_setattr", (0, 0, 0)),
    ("setpriority", "setpriority", (99, 0, 0)),
    ("ioprio_set", "ioprio_set", (99, 0, 0)),
    ("mbind", "mbind", (0, 0, 99, 0, 0, 0)),
    ("set_mempolicy", "set_mempolicy", (99, 0, 0)),
    ("migrate_pages", "migrate_pages", (0, 0, 0, 0)),
    ("move_pages", "move_pages", (0, 0, 0, 0, 0, 0)),
    ("kill 1", "kill", (1, 0)),  # the permission is looked at as for any signal, and nothing is sent
    ("settimeofday", "settimeofday", (0, 0)),
    ("clock_settime", "clock_settime", (0, 0)),
    ("clock_adjtime", "clock_adjtime", (0, 0)),
    ("adjtimex", "adjtimex", (0,)),
    ("reboot", "reboot", (0, 0, 0, 0)),  # without the magic numbers
    ("kexec_load", "kexec_load", (0, 0, 0, 0xFFFF)),
    ("init_module", "init_module", (0, 0, 0)),
    ("finit_module", "finit_module", (-1, 0, 0)),
    ("delete_module", "delete_module", (0, 0)),
    ("swapon", "swapon", (0, 0)),
    ("swapoff", "swapoff", (0,)),
    ("acct", "acct", (NOT_AN_ADDRESS,)),
    ("syslog", "syslog", (99, 0, 0)),
    ("lookup_dcookie", "lookup_dcookie", (0, 0, 0)),
    ("iopl", "iopl", (99,)),
    ("ioperm", "ioperm", (1 << 30, 1, 0)),
    ("modify_ldt", "modify_ldt", (99, 0, 0)),
    ("sethostname", "sethostname", (0, 1 << 20)),
    ("setdomainname", "setdomainname", (0, 1 << 20)),
    ("memfd_create", "memfd_create", (0, 0)),
    ("memfd_secret", "memfd_secret", (99,)),
    ("execveat", "execveat", (-1, 0, 0, 0, 0)),
    ("splice", "splice", (-1, 0, -1, 0, 1, 0)),
    ("tee", "tee", (-1, -1, 1, 0)),
    ("vmsplice", "vmsplice", (-1, 0, 0, 0)),
    ("landlock_create_ruleset", "landlock_create_ruleset", (0, 0, 1)),  # asks for its version
    ("fanotify_init", "fanotify_init", (0xFFFF_FFFF, 0)),
    ("inotify_init1", "inotify_init1", (0,)),
    ("signalfd4", "signalfd4", (-1, 0, 0, 0)),
    ("timerfd_create", "timerfd_create", (99, 0)),
    ("mlock", "mlock", (0, 0)),
    ("personality", "personality", (0xFFFF_FFFF,)),  # asks for the present one
    ("seccomp", "seccomp", (99, 0, 0)),
    ("prctl PR_SET_DUMPABLE", "prctl", (4, 99)),
    ("prctl PR_GET_SECCOMP", "prctl", (21, 0)),
    ("prctl PR_SET_SECCOMP", "prctl", (22, 99)),
    ("prctl PR_SET_MM", "prctl", (35, 99, 0, 0, 0)),
    ("prctl PR_SET_CHILD_SUBREAPER", "prctl", (36, 0)),
    ("ioctl TIOCSTI", "ioctl", (-1, 0x5412, 0)),
    ("ioctl TIOCLINUX", "ioctl", (-1, 0x541C, 0)),
)

# These would change the process itself if they worked, so they are tried in a child that ends after it. In this order.
CHILD_CALLS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("clone NEWUSER", "clone", (NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)),
    ("clone NEWNET", "clone", (NEWNET | signal.SIGCHLD, 0, 0, 0, 0)),
    ("setgroups", "setgroups", (0, 0)),
    ("setgid 0", "setgid", (0,)),
    ("setresgid 0", "setresgid", (0, 0, 0)),
    ("setuid 0", "setuid", (0,)),
    ("setresuid 0", "setresuid", (0, 0, 0)),
    ("unshare NEWUSER", "unshare", (NEWUSER,)),
    ("ptrace TRACEME", "ptrace", (PTRACE_TRACEME, 0, 0, 0)),
)
GIVES_DESCRIPTOR = frozenset({
    "socket", "io_uring_setup", "userfaultfd", "memfd_create", "inotify_init1", "fanotify_init", "open_tree", "fsopen",
})  # fmt: skip

LIMITS = {
    "CORE": "", "CPU": "cpu_seconds", "AS": "memory_bytes", "FSIZE": "file_bytes", "NOFILE": "open_files",
    "NPROC": "processes", "MEMLOCK": "", "MSGQUEUE": "", "NICE": "", "RTPRIO": "",
}  # fmt: skip
FILES: tuple[tuple[str, str, int], ...] = (
    ("write /", "/.probe", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    ("write /etc/passwd", "/etc/passwd", os.O_WRONLY),
    ("write the guest code", __file__, os.O_WRONLY),
    ("write the interpreter", sys.executable, os.O_WRONLY),
    ("write /dev", "/dev/.probe", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    ("write core_pattern", "/proc/sys/kernel/core_pattern", os.O_WRONLY),
    ("write sysrq-trigger", "/proc/sysrq-trigger", os.O_WRONLY),
    ("read /proc/1/mem", "/proc/1/mem", os.O_RDONLY),
    ("read /proc/1/environ", "/proc/1/environ", os.O_RDONLY),
    ("read /proc/1/maps", "/proc/1/maps", os.O_RDONLY),
    ("read parent's mem", "/proc/{parent}/mem", os.O_RDONLY),
    ("read parent's environ", "/proc/{parent}/environ", os.O_RDONLY),
)
FOLDERS = (("list /proc/1/fd", "/proc/1/fd"), ("list /proc/1/root", "/proc/1/root"))
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpuset")
# null, zero, full, random, urandom, tty, console, ptmx; terminals (136 and up) are the container's own.
HARMLESS_DEVICES = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)}
TERMINALS = 136
SMALL_FILE_SYSTEM = 1 << 17  # files that a scratch folder may hold at most, for its limit to be called one

NAMES = frozenset({
    *(label for label, _, _ in (*CALLS, *CHILD_CALLS)), "sched_setaffinity", "kill parent",
    "mknod device", "mknod FIFO",
    *(f"limit {name}" for name in LIMITS), *(f"raise {name}" for name in LIMITS),
    "too many processes", "too many files", "too large a file", "too much memory", "core dump",
    "full scratch", "too many names", "execute from scratch",
    *(label for label, _, _ in FILES), *(label for label, _ in FOLDERS), "write cgroup",
    "writable mounts", "devices", "capabilities", "no_new_privileges", "filter", "identity", "machine",
})  # fmt: skip


def refused(number: int | None) -> str:
    return f"refused {errno.errorcode.get(number or 0, number)}"


class Kernel:
    """System calls by number."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        self._machine = MACHINES.get(os.uname().machine)

    def __call__(self, name: str, *args: int) -> int | None:
        """The result, or minus the error's number; None where this machine has no such call."""
        number = None if self._machine is None else NUMBERS[name][self._machine]
        if number is None:
            return None
        result = int(self._call(ctypes.c_long(number), *(ctypes.c_long(arg) for arg in args)))
        return -ctypes.get_errno() if result == -1 else result

    def outcome(self, name: str, args: tuple[int, ...]) -> str:
        result = self(name, *args)
        if result is None:
            return "absent"
        if result < 0:
            word = "refused" if -result in (errno.EPERM, errno.ENOSYS) else "reached"
            return f"{word} {errno.errorcode.get(-result, -result)}"
        if name in GIVES_DESCRIPTOR:
            os.close(result)
        return "allowed"


def in_child(work: Callable[[], Any]) -> tuple[Any, int]:
    """What `work` returns in a forked child (None if it dies), and the child's wait status."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, json.dumps(work()).encode())
        except Exception:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(0)
    os.close(writer)
    data = b""
    while chunk := os.read(reader, 1 << 16):
        data += chunk
    os.close(reader)
    return (json.loads(data) if data else None), os.waitpid(pid, 0)[1]


# ---- system calls --------------------------------------------------------------------------------------------------


def calls(kernel: Kernel) -> dict[str, str]:
    facts = {label: kernel.outcome(name, args) for label, name, args in CALLS}
    facts["kill parent"] = kernel.outcome("kill", (os.getppid(), 0))
    mask = (ctypes.c_ulong * 128)()
    for cpu in os.sched_getaffinity(0):
        mask[cpu // 64] |= 1 << cpu % 64
    facts["sched_setaffinity"] = kernel.outcome("sched_setaffinity", (0, ctypes.sizeof(mask), ctypes.addressof(mask)))
    for label, mode, device in (
        ("mknod device", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        ("mknod FIFO", stat.S_IFIFO | 0o600, 0),
    ):
        path = ctypes.create_string_buffer(b"probe-node")
        facts[label] = kernel.outcome("mknodat", (AT_FDCWD, ctypes.addressof(path), mode, device))
        if facts[label] == "allowed":
            os.unlink("probe-node")
    return facts


def child_calls(kernel: Kernel) -> dict[str, str]:
    parent = os.getpid()
    facts = {}
    for label, name, args in CHILD_CALLS:
        facts[label] = kernel.outcome(name, args)
        if name == "clone" and os.getpid() != parent:  # it worked, and this is the new one
            os._exit(0)
        with contextlib.suppress(ChildProcessError):  # waited for: its SIGCHLD would stop a traced process for good
            os.waitpid(-1, 0)
    return facts


# ---- limits --------------------------------------------------------------------------------------------------------


def wanted_limits(limits: dict[str, Any]) -> dict[str, int]:
    wanted = {name: int(limits[key]) if key else 0 for name, key in LIMITS.items()}
    return wanted | {"CPU": int(limits["cpu_seconds"]) + 2}  # the backstop's margin (lockdown.py)


def set_values(limits: dict[str, Any]) -> dict[str, str]:
    """Each limit is at most what was asked for, soft and hard alike, and cannot be raised."""
    facts = {}
    for name, value in wanted_limits(limits).items():
        which = getattr(resource, f"RLIMIT_{name}")
        found = resource.getrlimit(which)
        held = found[0] == found[1] and 0 <= found[1] <= value
        facts[f"limit {name}"] = "fine" if held else f"is {found}, not {value}"
        try:
            resource.setrlimit(which, (found[0], found[1] + 1))
            facts[f"raise {name}"] = "allowed"
        except ValueError:  # what Python makes of EPERM here
            facts[f"raise {name}"] = "refused EPERM"
        except OSError as error:
            facts[f"raise {name}"] = refused(error.errno)
    return facts


def processes(most: int) -> str:
    """Fork until it is refused. Children wait to be killed."""
    children: list[int] = []
    try:
        while len(children) < most:  # this process counts as well: the last one must fail
            pid = os.fork()
            if pid == 0:
                while True:
                    signal.pause()
            children.append(pid)
    except OSError as error:
        return refused(error.errno)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
    return "allowed"


def descriptors(most: int) -> str:
    opened: list[int] = []
    try:
        while len(opened) < most:
            opened.append(os.dup(0))
    except OSError as error:
        return refused(error.errno)
    finally:
        for fd in opened:
            os.close(fd)
    return "allowed"


def memory(most: int) -> str:
    try:
        mmap.mmap(-1, most, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)).close()
    except OSError as error:
        return refused(error.errno)
    return "allowed"


def file_size(most: int) -> str:
    fd = os.open("probe-file", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(fd, b"x", most)  # one byte past the limit; nothing is filled
    except OSError as error:
        return refused(error.errno)
    finally:
        os.close(fd)
        os.unlink("probe-file")
    return "allowed"


def full_scratch(most: int) -> str:
    """Write until there is no space. No single file may be larger than `most`, nor may all of them together."""
    system = os.statvfs(".")
    size = system.f_blocks * system.f_frsize
    if not 0 < size <= most:
        return f"allowed: holds {size} bytes, not {most}"
    chunk = bytes(min(most, 1 << 20))
    fds = [os.open(name, os.O_WRONLY | os.O_CREAT, 0o600) for name in ("probe-1", "probe-2")]
    try:
        for fd in fds:
            written = 0
            while written < most:
                written += os.write(fd, chunk[: most - written])
    except OSError as error:
        return refused(error.errno)
    finally:
        for name, fd in zip(("probe-1", "probe-2"), fds, strict=True):
            os.close(fd)
            os.unlink(name)
    return "allowed"


def many_names() -> str:
    """Links until there are no more inodes: on a tmpfs each counts as one."""
    files = os.statvfs(".").f_files
    if not 0 < files <= SMALL_FILE_SYSTEM:
        return f"allowed: holds {files} files"
    made = 0
    try:
        while made <= files:
            os.symlink("x", f"probe-{made}")
            made += 1
    except OSError as error:
        return refused(error.errno)
    finally:
        for number in range(made):
            os.unlink(f"probe-{number}")
    return "allowed"


def executable_scratch() -> str:
    """A file made here does not run (noexec)."""
    with open("probe-run", "w") as stream:
        stream.write(f"#!{sys.executable}\n")
    os.chmod("probe-run", 0o700)
    try:
        return in_child(lambda: _execute("./probe-run"))[0] or "allowed"
    finally:
        os.unlink("probe-run")


def _execute(path: str) -> str:
    try:
        os.execv(path, [path])
    except OSError as error:
        return refused(error.errno)


def core_dump() -> str:
    status = in_child(lambda: os.kill(os.getpid(), signal.SIGQUIT))[1]
    return "allowed" if os.WCOREDUMP(status) else "refused"


# ---- files and state -----------------------------------------------------------------------------------------------


def attempt(work: Callable[[], Any]) -> str:
    try:
        result = work()
    except OSError as error:
        return refused(error.errno)
    if isinstance(result, int):
        os.close(result)
    return "allowed"


def files() -> dict[str, str]:
    parent = os.getppid()
    facts = {label: attempt(partial(os.open, path.format(parent=parent), flags, 0o600)) for label, path, flags in FILES}
    facts |= {label: attempt(partial(os.listdir, path)) for label, path in FOLDERS}
    cgroups = [
        attempt(work)
        for folder in CGROUPS
        for work in (
            partial(os.open, f"{folder}/cgroup.procs", os.O_WRONLY),
            partial(os.mkdir, f"{folder}/probe"),
        )
    ]
    facts["write cgroup"] = max(cgroups, key=lambda fact: (fact == "allowed", fact))
    return facts


def writable_mounts(scratch: str) -> str:
    """Every mount that is not read-only must be closed to this uid, but for the scratch folder."""
    paths = _mounts() if os.path.exists("/proc/self/mountinfo") else [folder for folder, _, _ in os.walk("/")]
    found = [path for path in paths if path != scratch and _is_writable(path)]
    return "fine" if not found else ", ".join(found)


def _mounts() -> Iterator[str]:
    with open("/proc/self/mountinfo") as stream:
        for line in stream:
            fields = line.split()
            kind = fields[fields.index("-") + 1]
            if "ro" not in fields[5].split(",") and kind not in ("proc", "sysfs", "cgroup", "cgroup2"):
                yield fields[4]


def _is_writable(path: str) -> bool:
    """Really tried: permission bits say less (anyone may write to /dev/mqueue, and the limit of 0 forbids it)."""
    mode = os.stat(path).st_mode
    if stat.S_ISREG(mode):
        return attempt(partial(os.open, path, os.O_WRONLY)) == "allowed"
    if not stat.S_ISDIR(mode):  # masked files of /proc are the null device, which is meant to be open to all
        return False
    answer = attempt(partial(os.open, f"{path}/probe", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    if answer == "allowed":
        os.unlink(f"{path}/probe")
    return answer == "allowed"


def devices() -> str:
    """Device nodes in /dev that no candidate should see."""
    found = []
    for folder, folders, names in os.walk("/dev"):
        for name in (*folders, *names):
            try:
                status = os.lstat(f"{folder}/{name}")
            except OSError:
                continue
            number = (os.major(status.st_rdev), os.minor(status.st_rdev))
            harmless = number in HARMLESS_DEVICES or TERMINALS <= number[0] < TERMINALS + 8
            if stat.S_ISBLK(status.st_mode) or (stat.S_ISCHR(status.st_mode) and not harmless):
                found.append(f"{folder}/{name}")
    return "fine" if not found else ", ".join(sorted(found))


def state(kernel: Kernel) -> dict[str, str]:
    held = capabilities(ctypes.CDLL(None))
    identity = (os.getresuid(), os.getresgid())
    ours = identity[0][0] != 0 and all(len(set(ids)) == 1 for ids in identity) and os.getgroups() == []
    return {
        "capabilities": "fine" if not any(held.values()) else f"{held}",
        "no_new_privileges": "fine" if kernel("prctl", PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 else "off",
        "filter": "fine" if _is_filtered(kernel) else "off",
        "identity": "fine" if ours else f"{identity}, groups {os.getgroups()}",
        "machine": os.uname().machine,
    }


def _is_filtered(kernel: Kernel) -> bool:
    """As the kernel says; where it says nothing (gVisor), by a call that it has and nobody but a filter refuses."""
    return filter_mode() == 2 or (filter_mode() == 0 and kernel("inotify_init1", 0) == -errno.EPERM)


# ---- all of it -----------------------------------------------------------------------------------------------------


def run(limits: dict[str, Any], scratch: str) -> dict[str, str]:
    """Every probe's outcome (`NAMES`). For a process that has become a candidate under `limits`; works in `scratch` and
    leaves nothing there. About 50 ms of CPU time."""
    os.chdir(scratch)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    kernel = Kernel()
    facts: dict[str, str] = {}
    groups: list[Callable[[], dict[str, str]]] = [
        partial(state, kernel),
        partial(calls, kernel),
        partial(set_values, limits),
        files,
        lambda: in_child(partial(child_calls, kernel))[0] or {},
    ]
    for several in groups:
        with contextlib.suppress(OSError, ValueError):  # not probed, which is a problem
            facts |= several()
    singles: dict[str, Callable[[], str]] = {
        "too many processes": partial(processes, limits["processes"]),
        "too many files": partial(descriptors, limits["open_files"]),
        "too large a file": partial(file_size, limits["file_bytes"]),
        "too much memory": partial(memory, limits["memory_bytes"]),
        "core dump": core_dump,
        "full scratch": partial(full_scratch, limits["file_bytes"]),
        "too many names": many_names,
        "execute from scratch": executable_scratch,
        "writable mounts": partial(writable_mounts, scratch),
        "devices": devices,
    }
    for name, single in singles.items():
        try:
            facts[name] = single()
        except (OSError, ValueError) as error:
            facts[name] = f"could not be tried: {error}"
    return facts


def foreign_calls() -> dict[str, str]:
    """Other doors into the kernel, in children, as the filter may kill for them: x32 numbers, 32-bit calls (x86_64)."""
    if os.uname().machine != "x86_64":
        return {"x32": "absent", "int 0x80": "absent"}
    return {"x32": _door(_x32), "int 0x80": _door(_int80)}


def _door(work: Callable[[], str]) -> str:
    answer, status = in_child(work)
    return answer or f"refused {signal.Signals(os.WTERMSIG(status)).name}"


def _x32() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(0x4000_0000 | 39)) == -1:  # getpid
        return refused(ctypes.get_errno())
    return "allowed"


def _int80() -> str:
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    return refused(-result) if result < 0 else "allowed"


def serve() -> None:
    """Entered by a fresh fork of the candidates' zygote: the job and the answers cross as a candidate's do."""
    stream = wire.Stream(candidate.CALLS_FD)
    _, (scratch, limits) = wire.unpack_parts(stream.receive() or b"")
    facts = run(json.loads(limits), scratch)
    wire.send_frame(candidate.CALLS_FD, json.dumps(facts).encode("ascii"))


def main() -> None:
    settings = json.loads(sys.argv[1])
    limits, uid = settings["limits"], settings["uid"]

    def work() -> dict[str, str]:
        own = {"limits": limits, "gid": uid, "gvisor": False}
        lockdown.prepare(own)
        lockdown.become(uid, int(limits["cpu_seconds"]) + 2, limits["processes"], limits["open_files"])
        return run(limits, "/scratch/0") | foreign_calls()

    print(json.dumps(in_child(work)[0] or {}))


if __name__ == "__main__":
    main()
