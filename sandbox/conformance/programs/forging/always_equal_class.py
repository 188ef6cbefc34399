# /// attack
# line = "always-true __eq__"
# expect = ["WRONG"]
# [proof]
# output = "attack: equal to 8: True"
# ///


class Meta(type):
    def __eq__(cls, other):
        return True

    __hash__ = type.__hash__


class Liar(metaclass=Meta):
    pass


def f(x):
    print(f"attack: equal to 8: {Liar == 8}", flush=True)
    return Liar
