# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# message = "frame too long"
# ///
import os


def f(x):
    os.write(3, b"\xff\xff\xff\xff" + b"R" * 60_000)
    return 2
