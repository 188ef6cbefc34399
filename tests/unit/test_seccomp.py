"""The system-call filter as text: up to date, short, and without anything that must not be in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox import seccomp
from sandbox.guest import probe

FORBIDDEN = {
    "socket", "bind", "connect", "listen", "accept", "accept4", "sendmmsg", "recvmmsg", "setsockopt", "ptrace",
    "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise", "name_to_handle_at",
    "open_by_handle_at", "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr",
    "shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semctl",
    "semtimedop", "keyctl", "add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "bpf", "userfaultfd", "unshare", "setns", "mount", "umount", "umount2", "open_tree", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "pivot_root", "chroot", "perf_event_open", "kexec_load",
    "kexec_file_load", "init_module", "finit_module", "delete_module", "quotactl", "quotactl_fd", "swapon",
    "swapoff", "acct", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "reboot", "syslog",
    "iopl", "ioperm", "modify_ldt", "memfd_secret", "memfd_create", "sched_setaffinity", "sched_setscheduler",
    "sched_setparam", "sched_setattr", "setpriority", "ioprio_set", "vmsplice", "splice", "tee", "fanotify_init",
    "fanotify_mark", "inotify_init", "inotify_init1", "lookup_dcookie", "migrate_pages", "move_pages", "mbind",
    "set_mempolicy", "personality", "seccomp", "landlock_create_ruleset", "setuid", "setgid", "setreuid",
    "setregid", "setfsuid", "setfsgid", "sethostname", "setdomainname", "vhangup", "mknod", "mknodat", "chown",
    "fchown", "lchown", "fchownat", "setxattr", "mlock", "mlockall", "sync", "syncfs", "execveat", "capset",
    "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl", "vm86", "vm86old", "remap_file_pages",
}  # fmt: skip


def rules():
    return [rule for rule in seccomp.profile()["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]


def rules_for(name):
    return [rule for rule in rules() if name in rule["names"]]


def allows(name, *args):
    """What the engine makes of the rules: one whose conditions all hold is enough."""
    for rule in rules_for(name):
        assert len({match["index"] for match in rule["args"]}) == len(rule["args"]), "runc reads that as or"
        if all(
            args[m["index"]] == m["value"]
            if m["op"] == "SCMP_CMP_EQ"
            else args[m["index"]] & m["value"] == m["valueTwo"] and m["op"] == "SCMP_CMP_MASKED_EQ"
            for m in rule["args"]
        ):
            return True
    return False


def test_the_file_is_what_the_list_makes():
    assert seccomp.profile_text() == seccomp.render(), "python -m sandbox.seccomp > sandbox/seccomp.json"


def test_what_is_not_listed_is_refused():
    profile = json.loads(seccomp.profile_text())
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    assert {rule["action"] for rule in profile["syscalls"]} == {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"}


def test_only_native_entries_into_the_kernel():
    assert seccomp.profile()["archMap"] == [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
    ]


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_nothing_forbidden_is_allowed(name):
    assert not rules_for(name)


@pytest.mark.parametrize(("label", "name", "args"), [*probe.CALLS, *probe.CHILD_CALLS], ids=str)
def test_what_the_probe_tries_is_refused_by_the_filter_or_by_the_kernel(label, name, args):
    by_the_kernel = {"kill 1", "setgroups", "setresuid 0", "setresgid 0"}
    assert allows(name, *args) == (label in by_the_kernel)


def test_no_call_is_listed_twice_without_conditions_that_differ():
    seen = [(name, group.where) for group in seccomp.GROUPS for name in group.calls]
    assert len(seen) == len(set(seen))
    free = {name for name, where in seen if not where}
    assert not free & {name for name, where in seen if where}, "a condition that another rule makes void"


def test_every_group_says_why():
    assert all(group.reason and group.calls for group in (*seccomp.GROUPS, seccomp.MISSING))


def test_clone3_is_missing_so_that_clone_is_used():
    [rule] = [rule for rule in seccomp.profile()["syscalls"] if "clone3" in rule["names"]]
    assert (rule["action"], rule["errnoRet"], rule["args"]) == ("SCMP_ACT_ERRNO", 38, [])


def test_gvisor_is_asked_for_clone3_itself_and_nothing_else_differs():
    ours, theirs = (json.loads(seccomp.profile_text(gvisor=gvisor)) for gvisor in (False, True))
    differing = [rule for rule in theirs["syscalls"] if rule not in ours["syscalls"]]
    assert [(rule["names"], rule["action"]) for rule in differing] == [(["clone3"], "SCMP_ACT_ALLOW")]
    assert len(ours["syscalls"]) == len(theirs["syscalls"])
    assert ours | {"syscalls": ()} == theirs | {"syscalls": ()}


@given(st.integers(0, 2**64 - 1))
def test_clone_makes_no_namespace(flags):
    assert allows("clone", flags) == (not flags & 0x7E02_0000)


@pytest.mark.parametrize("flag", [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_refuses_each_namespace(flag):
    assert not allows("clone", flag | 17)
    assert allows("clone", 0x3D0F00)  # a thread, as glibc makes it
    assert allows("clone", 0x1200011)  # fork


@example(1, 17, 0)  # the kernel has no such kind and refuses it, too
@given(st.integers(0, 50), st.integers(0, 20), st.sampled_from([0, 0o4000, 0o2000000, 0o2004000]))
def test_socketpair_makes_unix_streams_and_packets_only(family, kind, flags):
    assert allows("socketpair", family, kind | flags, 0, 0) == (family == 1 and kind in (1, 5))


def test_send_has_no_address():
    assert allows("sendto", 3, 4096, 1, 0, 0, 0)
    assert not allows("sendto", 3, 4096, 1, 0, 4096, 16)


def test_terminals_take_no_input():
    assert not any(allows("ioctl", 0, request) for request in (0x5412, 0x541C, 0x5402, 0x540E))
    assert allows("ioctl", 0, 0x5401)
