# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# message = "unknown kind"
# ///
import os


def f(x):
    os.write(3, bytes(4))
    return 2
