# /// attack
# line = "forged result frames on every fd"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: sent half a frame"
# termination = "wall_limit"
# min_wall_ms = 2900
# ///
import os
import time


def f(x):
    os.write(3, b"\0\0\0\x40R\0\0")
    print("attack: sent half a frame", flush=True)
    time.sleep(60)
