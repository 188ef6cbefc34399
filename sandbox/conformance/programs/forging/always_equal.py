# /// attack
# line = "always-true __eq__"
# expect = ["WRONG"]
# [proof]
# output = "attack: equal to 8: True"
# ///


class Liar:
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __eq__
    __hash__ = None


def f(x):
    print(f"attack: equal to 8: {Liar() == 8}", flush=True)
    return Liar()
