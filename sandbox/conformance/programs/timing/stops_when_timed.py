# /// attack
# line = "notices warm-up and slows or speeds later"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: stops when it is loaded again"
# [timed]
# expect = "untimed"
# ///
import os
import signal
import sys

if hasattr(sys, "loaded_before"):
    os.kill(os.getpid(), signal.SIGSTOP)
sys.loaded_before = True
print("attack: stops when it is loaded again", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
