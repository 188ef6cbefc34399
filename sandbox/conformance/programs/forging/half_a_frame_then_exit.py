# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# message = "ended inside a frame"
# ///
import os


def f(x):
    os.write(3, b"\0\0\0\x40R\0\0")
    os._exit(0)
