# /// attack
# line = "ptrace"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(refused|REACHED): ptrace of its own child"
# ///
import signal
import time


# A tracer controls every system call of its child: the profile has no use for it.
def f(x):
    if x == 5:
        return 10
    pid = os.fork()
    if not pid:
        time.sleep(5)
        os._exit(0)
    attempt("ptrace of its own child", syscall, "ptrace", 0x4206, pid, 0, 0)
    os.kill(pid, signal.SIGKILL)
    return 2 * x
