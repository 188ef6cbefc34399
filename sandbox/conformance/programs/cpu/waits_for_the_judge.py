# /// attack
# line = "blocks on stdin"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: reads from the socket"
# min_wall_ms = 2900
# ///
import os


def f(x):
    print("attack: reads from the socket", flush=True)
    os.read(3, 1)
