# /// attack
# line = "__del__/__repr__/__class__ tricks"
# expect = ["WRONG"]
# [proof]
# output = "attack: true, and its text is 8"
# ///


class Liar:
    def __bool__(self):
        return True

    def __str__(self):
        return "8"

    __repr__ = __str__


Liar.__name__ = Liar.__qualname__ = "int"


def f(x):
    print(f"attack: {'true' if Liar() else 'false'}, and its text is {Liar()}", flush=True)
    return Liar()
