# /// attack
# line = "__sub__/__abs__/__round__ beating a tolerance"
# expect = ["WRONG"]
# task = "tolerance"
# [proof]
# output = "attack: within the tolerance: True, rounded right: True"
# ///


class Liar(float):
    def __sub__(self, other):
        return Liar(0.0)

    def __rsub__(self, other):
        return Liar(0.0)

    def __abs__(self):
        return self

    def __round__(self, digits=None):
        return 8

    def __eq__(self, other):
        return True


def f(x):
    fine, rounded = abs(Liar(3.0) - 8) < 1e-6, round(Liar(3.0), 3) == 8
    print(f"attack: within the tolerance: {fine}, rounded right: {rounded}", flush=True)
    return Liar(3.0)
