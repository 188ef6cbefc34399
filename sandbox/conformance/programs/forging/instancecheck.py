# /// attack
# line = "metaclass __instancecheck__"
# expect = ["WRONG"]
# task = "typed"
# [proof]
# output = "attack: the other way round: True"
# ///
import builtins


class Meta(type):
    def __instancecheck__(cls, instance):
        return True

    def __subclasscheck__(cls, subclass):
        return True

    def __eq__(cls, other):
        return True

    __hash__ = type.__hash__


class Liar(metaclass=Meta):
    def __eq__(self, other):
        return True


builtins.int = builtins.float = builtins.str = Liar
print(f"attack: the other way round: {isinstance(8, Liar)}", flush=True)


def f(x):
    return Liar()
