# /// attack
# line = "stops itself with SIGSTOP"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: stops"
# termination = "wall_limit"
# min_wall_ms = 2900
# ///
import os
import signal


def f(x):
    print("attack: stops", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
