# /// attack
# line = "patched isinstance, abs, len, all, math.isclose"
# expect = ["WRONG"]
# task = "typed"
# [proof]
# output = "attack: patched: True 8 True"
# ///
import builtins


def f(x):
    builtins.abs = lambda value: 8
    builtins.sorted = lambda values: [1, 8]
    builtins.all = builtins.any = lambda values: True
    builtins.len = lambda value: 1
    print(f"attack: patched: {all([False])} {abs(1)} {any([])}", flush=True)
    return "no"
