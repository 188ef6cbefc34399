# /// attack
# line = "forged result frames on every fd"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: sent half a frame"
# ///
import os


def f(x):
    os.write(3, b"\0\0\0\x40R\0\0")
    print("attack: sent half a frame", flush=True)
    os._exit(0)
