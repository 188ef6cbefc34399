# /// attack
# line = "double-fork daemon"
# expect = ["PASSED"]
# [proof]
# output = "attack: a daemon holds [1-9] descriptors"
# ///
import os
import time

if not os.fork():
    os.setsid()
    held = [os.dup(fd) for fd in (3, 4, 1)]
    os.write(1, f"attack: a daemon holds {len(held)} descriptors\n".encode())
    while True:
        time.sleep(1)


def f(x):
    time.sleep(0.1)
    return 2 * x
