# /// attack
# line = "int/str/list subclass with __eq__"
# expect = ["WRONG"]
# task = "text"
# [proof]
# output = "attack: equal to abab: True"
# ///


class Liar(str):
    def __eq__(self, other):
        return True

    def __len__(self):
        return 4

    def startswith(self, *rest):
        return True

    def __str__(self):
        return self

    __hash__ = str.__hash__


def f(x):
    print(f"attack: equal to abab: {Liar('x') == 'abab'}", flush=True)
    return Liar("x")
