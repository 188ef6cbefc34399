# /// attack
# line = "notices warm-up and slows or speeds later"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: leaves when it is loaded again"
# [timed]
# expect = "untimed"
# ///
import os
import sys

if hasattr(sys, "loaded_before"):
    os._exit(0)
sys.loaded_before = True
print("attack: leaves when it is loaded again", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
