# /// attack
# line = "patched isinstance, abs, len, all, math.isclose"
# expect = ["WRONG"]
# task = "tolerance"
# [proof]
# output = "attack: patched: True"
# ///
import builtins
import math

math.isclose = lambda *rest, **more: True
builtins.abs = lambda value: 0
builtins.round = lambda value, digits=0: 8
print(f"attack: patched: {math.isclose(1, 2)}", flush=True)


def f(x):
    return 3
