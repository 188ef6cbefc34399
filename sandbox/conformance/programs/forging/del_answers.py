# /// attack
# line = "__del__/__repr__/__class__ tricks"
# expect = ["VIOLATION", "WRONG"]
# [proof]
# output = "attack: answered from __del__"
# ///
import os


# Whether the true answer arrives before the judge asks again is a race; it is an answer to the wrong call if not.
class Ghost:
    def __del__(self):
        print("attack: answered from __del__", flush=True)
        os.write(3, b"\0\0\0\x06R\0\0\0\x018")


def f(x):
    return Ghost()
