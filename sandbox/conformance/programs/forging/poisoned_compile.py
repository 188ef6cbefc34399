# /// attack
# line = "poisoned json, struct, builtins.compile, sys.modules"
# expect = ["WRONG"]
# [proof]
# output = "attack: poisoned: None"
# ///
import builtins

nothing = compile("def check(candidate): pass", "", "exec")
builtins.compile = lambda *rest, **more: nothing
builtins.exec = builtins.eval = builtins.__import__ = lambda *rest, **more: None
print(f"attack: poisoned: {exec('1/0')}", flush=True)


def f(x):
    return x
