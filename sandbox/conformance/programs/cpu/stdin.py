# /// attack
# line = "blocks on stdin"
# expect = ["ERROR"]
# [proof]
# output = "attack: read '' and b''"
# message = "EOFError"
# ///
import os
import sys


def f(x):
    print(f"attack: read {sys.stdin.read()!r} and {os.read(0, 10)!r}", flush=True)
    return input()
