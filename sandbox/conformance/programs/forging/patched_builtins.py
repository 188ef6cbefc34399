# /// attack
# line = "patched isinstance, abs, len, all, math.isclose"
# expect = ["WRONG"]
# task = "typed"
# [proof]
# output = "attack: patched: True 8 True 1"
# ///
import builtins

length = len


def f(x):
    builtins.abs = lambda value: 8
    builtins.sorted = lambda values: [1, 8]
    builtins.all = builtins.any = lambda values: True
    builtins.len = lambda value: 1 if type(value) is str and value == "no" else length(value)
    print(f"attack: patched: {all([False])} {abs(1)} {any([])} {len('no')}", flush=True)
    return "no"
