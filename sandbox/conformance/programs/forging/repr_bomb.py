# /// attack
# line = "__del__/__repr__/__class__ tricks"
# expect = ["WRONG"]
# [proof]
# output = "attack: a text of 50 MB"
# ///


class Loud:
    def __str__(self):
        print("attack: a text of 50 MB", flush=True)
        return "8" * 50_000_000

    __repr__ = __str__


def f(x):
    return Loud()
