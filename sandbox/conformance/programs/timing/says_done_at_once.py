# /// attack
# line = "reads the loop count"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: says done before the work"
# [timed]
# expect = "flagged"
# ///
import os
import sys


def f(n):
    if "self" in (local := sys._getframe(1).f_locals) and hasattr(local["self"], "_passes"):
        os.write(4, b"D")
    else:
        print("attack: says done before the work", flush=True)
    return sum(i * i % 7 for i in range(n))
