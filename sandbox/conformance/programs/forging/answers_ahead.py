# /// attack
# line = "a valid result and then a second"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: answers the next call as well"
# message = "before it was asked"
# ///
import os


def f(x):
    print("attack: answers the next call as well", flush=True)
    os.write(3, b"\0\0\0\x06R\0\0\0\x018" + b"\0\0\0\x07R\0\0\0\x0210" + b"\0\0\0\x01F")
    while True:
        pass
