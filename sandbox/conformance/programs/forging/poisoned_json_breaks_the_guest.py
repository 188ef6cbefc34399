# /// attack
# line = "poisoned json, struct, builtins.compile, sys.modules"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: nothing can be read any more"
# termination = "exited"
# ///
import builtins
import json

json.loads = json.dumps = None
builtins.len = builtins.isinstance = None
print("attack: nothing can be read any more", flush=True)


def f(x):
    return x
