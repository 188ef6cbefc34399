# /// attack
# line = "int/str/list subclass with __eq__"
# expect = ["WRONG"]
# task = "typed"
# [proof]
# output = "attack: equal to 8: True"
# ///


class Liar(int):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __abs__(self):
        return self

    def __str__(self):
        return "8"

    __hash__ = int.__hash__


def f(x):
    print(f"attack: equal to 8: {Liar() == 8}", flush=True)
    return Liar()
