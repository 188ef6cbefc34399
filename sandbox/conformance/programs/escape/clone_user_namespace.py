# /// attack
# line = "unshare(NEWUSER), mount, pivot_root"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(refused|REACHED): clone into a user namespace"
# ///
import signal

CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
NEWUSER = 0x10000000


def clone():
    pid = _libc.syscall(ctypes.c_long(CLONE), ctypes.c_long(NEWUSER | signal.SIGCHLD), *[ctypes.c_long(0)] * 4)
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    return os.waitpid(pid, 0)


def f(x):
    if x == 4:
        attempt("clone into a user namespace", clone)
    return 2 * x
