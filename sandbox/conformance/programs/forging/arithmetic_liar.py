# /// attack
# line = "__sub__/__abs__/__round__ beating a tolerance"
# expect = ["ERROR"]
# task = "tolerance"
# [proof]
# output = "attack: within the tolerance: True"
# message = "TypeError"
# ///


class Liar:
    def nothing(self, *rest):
        return 0.0

    __sub__ = __rsub__ = __abs__ = __round__ = __float__ = nothing

    def __eq__(self, other):
        return True


def f(x):
    print(f"attack: within the tolerance: {abs(Liar() - 8) < 1e-6}", flush=True)
    return Liar()
