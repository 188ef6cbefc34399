# /// attack
# line = "writes to /proc/sys, /sys/fs/cgroup, core_pattern"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: sethostname (.|\\n)*refused: settimeofday (.|\\n)*refused: module (.|\\n)*attack: done"
# ///


def f(x):
    if x == 5:
        return 10
    block = ctypes.create_string_buffer(64)
    attempt("sethostname", syscall, "sethostname", b"owned", 5)
    attempt("settimeofday", syscall, "settimeofday", block, None)
    attempt("module", syscall, "init_module", block, 64, b"")
    attempt("reboot", syscall, "reboot", -18751827, 672274793, 0, None)
    attempt("swapon", syscall, "swapon", b"/etc/passwd", 0)
    attempt("acct", syscall, "acct", b"./acct")
    attempt("kexec", syscall, "kexec_load", 0, 0, None, 0)
    attempt("kernel log", syscall, "syslog", 3, block, 64)
    for path in ("/dev/mem", "/dev/kmsg", "/proc/kcore", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/sda", "/proc/kmsg"):
        attempt(path, lambda path=path: open(path, "rb").read(1) or b"empty")
    print("attack: done", flush=True)
    return 2 * x
