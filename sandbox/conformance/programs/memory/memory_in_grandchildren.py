# /// attack
# line = "memory in children"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: the parent leaves 6 children with 400 MiB each"
# ///
import os


def f(x):
    for _ in range(6):
        if not os.fork():
            os.setsid()
            block = bytearray(400 << 20)
            while True:
                for start in range(0, len(block), 4_096):
                    block[start] = 1
    print("attack: the parent leaves 6 children with 400 MiB each", flush=True)
    os._exit(0)
