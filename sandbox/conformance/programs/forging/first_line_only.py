# /// attack
# line = "first-line-only output"
# expect = ["WRONG"]
# [proof]
# output = "\\A(True|PASSED)\\n"
# ///
import os

os.write(1, b"PASSED\n")


def f(x):
    os.write(1, b"8\n")
    return x
