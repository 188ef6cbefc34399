# /// attack
# line = "__del__/__repr__/__class__ tricks"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: answered from __del__"
# ///
import os


class Ghost:
    def __del__(self):
        os.write(4, b"\0\0\0\x06R\0\0\0\x018")
        print("attack: answered from __del__", flush=True)


def f(x):
    return Ghost()
