# Put before programs that say `prelude = true`: attempts to reach something, one line of output each.
import ctypes
import errno
import os

NUMBERS = {
    "x86_64": {
        "shmget": 29, "shmat": 30, "semget": 64, "semop": 65, "msgget": 68, "msgsnd": 69, "ptrace": 101, "syslog": 103,
        "personality": 135, "pivot_root": 155, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165,
        "swapon": 167, "reboot": 169, "sethostname": 170, "init_module": 175, "mq_open": 240, "mq_timedsend": 242,
        "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
        "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310,
        "process_vm_writev": 311, "kcmp": 312, "memfd_create": 319, "bpf": 321, "userfaultfd": 323,
        "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "pidfd_open": 434,
        "pidfd_getfd": 438, "process_madvise": 440,
    },
    "aarch64": {
        "shmget": 194, "shmat": 196, "semget": 190, "semop": 193, "msgget": 186, "msgsnd": 189, "ptrace": 117,
        "syslog": 116, "personality": 92, "pivot_root": 41, "chroot": 51, "acct": 89, "settimeofday": 170, "mount": 40,
        "swapon": 224, "reboot": 142, "sethostname": 161, "init_module": 105, "mq_open": 180, "mq_timedsend": 182,
        "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "perf_event_open": 241,
        "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
        "process_vm_writev": 271, "kcmp": 272, "memfd_create": 279, "bpf": 280, "userfaultfd": 282,
        "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "pidfd_open": 434,
        "pidfd_getfd": 438, "process_madvise": 440,
    },
}[os.uname().machine]
_libc = ctypes.CDLL(None, use_errno=True)


def syscall(name, *args):
    """The raw system call: no wrapper of ours or of the C library stands before the kernel's own answer."""
    _libc.syscall.restype = ctypes.c_long
    result = _libc.syscall(
        ctypes.c_long(NUMBERS[name]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    )
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attempt(what, action, *args):
    """Try it, and say what came of it."""
    try:
        result = action(*args)
    except OSError as error:
        print(f"refused: {what} {errno.errorcode.get(error.errno, type(error).__name__)}", flush=True)
        return None
    print(f"REACHED: {what}: {result!r:.80}", flush=True)
    return result


def processes():
    """Pids of all other processes that can be seen; where there is no /proc (gVisor), of those that can be met."""
    seen = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
    return seen or [pid for pid in range(1, os.getpid()) if exists(pid)]


def exists(pid):
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True
