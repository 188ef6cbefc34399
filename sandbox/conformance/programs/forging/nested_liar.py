# /// attack
# line = "a liar nested in a list"
# expect = ["WRONG"]
# task = "nested"
# [proof]
# output = "attack: equal as a whole: True"
# ///


class Liar:
    def __eq__(self, other):
        return True

    __hash__ = object.__hash__


def f(x):
    result = [Liar(), [Liar(), {"twice": Liar()}], (Liar(),)]
    print(f"attack: equal as a whole: {result == [8, [8, {'twice': 8}], (8,)]}", flush=True)
    return result
