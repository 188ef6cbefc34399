# /// attack
# line = "nan/inf"
# expect = ["VIOLATION"]
# [proof]
# message = "no JSON: NaN"
# ///
import os


def f(x):
    os.write(3, b"\0\0\0\x08R\0\0\0\x03NaN")
