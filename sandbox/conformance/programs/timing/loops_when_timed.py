# /// attack
# line = "notices warm-up and slows or speeds later"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: never ends when it is loaded again"
# [timed]
# expect = "untimed"
# ///
import sys

ENDLESS = hasattr(sys, "loaded_before")
sys.loaded_before = True
print("attack: never ends when it is loaded again", flush=True)


def f(n):
    while ENDLESS:
        pass
    return sum(i * i % 7 for i in range(n))
