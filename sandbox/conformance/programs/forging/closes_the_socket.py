# /// attack
# line = "forged result frames on every fd"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: closed 61 descriptors"
# ///
import os


def f(x):
    os.closerange(3, 64)
    print("attack: closed 61 descriptors", flush=True)
    return 8
