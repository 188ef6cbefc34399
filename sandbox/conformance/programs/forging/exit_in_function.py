# /// attack
# line = "sys.exit(0) at import, in the function"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: exits in the call"
# termination = "exited"
# min_calls = 1
# ///
import sys


def f(x):
    print("attack: exits in the call", flush=True)
    sys.exit(0)
