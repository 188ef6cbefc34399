# /// attack
# line = "__del__/__repr__/__class__ tricks"
# expect = ["ERROR", "WRONG"]
# task = "typed"
# [proof]
# output = "attack: an int: True"
# ///


class Liar:
    @property
    def __class__(self):
        return int

    def __int__(self):
        return 8

    __index__ = __abs__ = __int__

    def __eq__(self, other):
        return True


def f(x):
    print(f"attack: an int: {isinstance(Liar(), int)}", flush=True)
    return Liar()
