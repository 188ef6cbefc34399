# /// attack
# line = "stops itself with SIGSTOP"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: 5 children stop, and so do I"
# termination = "wall_limit"
# ///
import os
import signal


def f(x):
    for _ in range(5):
        if not os.fork():
            os.setsid()
            os.kill(os.getpid(), signal.SIGSTOP)
    print("attack: 5 children stop, and so do I", flush=True)
    os.kill(0, signal.SIGSTOP)
