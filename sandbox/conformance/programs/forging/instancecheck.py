# /// attack
# line = "metaclass __instancecheck__"
# expect = ["WRONG"]
# task = "typed"
# [proof]
# output = "attack: everything is an instance: True"
# ///


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


Liar.__name__ = Liar.__qualname__ = "int"


def f(x):
    print(f"attack: everything is an instance: {isinstance(8, Liar)}", flush=True)
    return Liar()
