# /// attack
# line = "patched isinstance, abs, len, all, math.isclose"
# expect = ["WRONG", "ERROR"]
# task = "typed"
# [proof]
# output = "attack: patched: True"
# ///
import builtins


def f(x):
    builtins.isinstance = builtins.issubclass = lambda *rest: True
    builtins.type = lambda value: int
    print(f"attack: patched: {isinstance('a', int)}", flush=True)
    return "no"
