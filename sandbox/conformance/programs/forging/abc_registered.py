# /// attack
# line = "metaclass __instancecheck__"
# expect = ["ERROR", "WRONG"]
# task = "listed"
# [proof]
# output = "attack: a Sequence: True"
# ///
from collections.abc import Sequence


class Liar:
    def __len__(self):
        return 3

    def __iter__(self):
        return iter([0, 1, 2])

    def __eq__(self, other):
        return True

    __hash__ = None


Sequence.register(Liar)


def f(x):
    print(f"attack: a Sequence: {isinstance(Liar(), Sequence)}", flush=True)
    return Liar()
