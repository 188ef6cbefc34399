# /// attack
# line = "endless loop"
# expect = ["TIMEOUT_WALL", "TIMEOUT_CPU"]
# [proof]
# output = "attack: 4 children loop"
# min_wall_ms = 900
# ///
import os


def f(x):
    for _ in range(4):
        if not os.fork():
            while True:
                pass
    print("attack: 4 children loop", flush=True)
    os.wait()
