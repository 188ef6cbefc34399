# /// attack
# line = "blocks on stdin"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: waits for input that never comes"
# min_wall_ms = 2900
# ///
import os


def f(x):
    reader, writer = os.pipe()
    os.dup2(reader, 0)
    print("attack: waits for input that never comes", flush=True)
    return input()
