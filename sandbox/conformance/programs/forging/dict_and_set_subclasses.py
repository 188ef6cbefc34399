# /// attack
# line = "int/str/list subclass with __eq__"
# expect = ["WRONG"]
# task = "listed"
# [proof]
# output = "attack: 3 long, equal: True"
# ///


class Liar(dict):
    def __eq__(self, other):
        return True

    def __len__(self):
        return 3

    def __iter__(self):
        return iter([0, 1, 2])

    def items(self):
        return [(0, 0), (1, 0), (2, 0)]

    keys = __iter__


def f(x):
    print(f"attack: {len(Liar())} long, equal: {Liar() == 7}", flush=True)
    return Liar()
