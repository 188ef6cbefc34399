# /// attack
# line = "a valid result and then a second"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: answered the next call as well"
# ///
import os


def f(x):
    os.write(4, b"\0\0\0\x06R\0\0\0\x018" + b"\0\0\0\x07R\0\0\0\x0210" + b"\0\0\0\x01F")
    print("attack: answered the next call as well", flush=True)
    while True:
        pass
