# /// attack
# line = "a liar nested in a list"
# expect = ["WRONG"]
# task = "nested"
# [proof]
# output = "attack: equal as a whole: True"
# ///


class Liar(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


def f(x):
    result = [Liar(1), [Liar(2), {"twice": Liar(3)}], (Liar(4),)]
    print(f"attack: equal as a whole: {result == [8, [8, {'twice': 8}], (8,)]}", flush=True)
    return result
