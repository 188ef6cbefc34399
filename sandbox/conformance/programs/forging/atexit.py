# /// attack
# line = "atexit"
# expect = ["WRONG"]
# [proof]
# output = "attack: registered"
# ///
import atexit
import os
import threading


def last_word():
    os.write(3, b"\0\0\0\x06R\0\0\0\x018")
    print("REACHED: the exit handler ran", flush=True)
    os._exit(0)


atexit.register(last_word)
threading._register_atexit(last_word)
print("attack: registered", flush=True)


def f(x):
    return x
