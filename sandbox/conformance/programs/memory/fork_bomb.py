# /// attack
# line = "fork bomb"
# expect = ["TIMEOUT_WALL", "TIMEOUT_CPU"]
# [proof]
# output = "attack: no more processes"
# ///
import os


def f(x):
    first = os.getpid()
    while True:
        try:
            os.fork()
        except OSError:
            if os.getpid() == first:
                print("attack: no more processes", flush=True)
                first = -1
