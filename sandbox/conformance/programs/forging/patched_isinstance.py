# /// attack
# line = "patched isinstance, abs, len, all, math.isclose"
# expect = ["WRONG"]
# task = "typed"
# [proof]
# output = "attack: patched: True"
# ///
import builtins

honest = isinstance


def f(x):
    builtins.isinstance = lambda value, kinds: kinds is int or honest(value, kinds)
    builtins.issubclass = lambda *rest: True
    print(f"attack: patched: {isinstance('a', int)}", flush=True)
    return "no"
