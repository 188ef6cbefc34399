# /// attack
# line = "a valid result and then a second"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: answered twice"
# ///
import os


def f(x):
    if x == 4:
        return 8
    os.write(3, b"\0\0\0\x07R\0\0\0\x0210")
    print("attack: answered twice", flush=True)
    return 3
