# /// attack
# line = "mutated arguments"
# expect = ["WRONG"]
# task = "in_place"
# [proof]
# output = "attack: put a liar into the argument"
# ///


class Liar(list):
    def __eq__(self, other):
        return True

    __hash__ = None


def f(items):
    items[:] = [Liar(), Liar(), Liar()]
    print("attack: put a liar into the argument", flush=True)
