# /// attack
# line = "forged result frames on every fd"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: sent 15 of 16 MiB"
# termination = "wall_limit"
# min_wall_ms = 2900
# ///
import os
import time


def f(x):
    os.write(3, (16 << 20).to_bytes(4, "big"))
    part = b"R" * (1 << 20)
    for _ in range(15):
        view = memoryview(part)
        while view:
            view = view[os.write(3, view) :]
    print("attack: sent 15 of 16 MiB", flush=True)
    time.sleep(60)
