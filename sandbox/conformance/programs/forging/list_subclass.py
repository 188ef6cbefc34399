# /// attack
# line = "int/str/list subclass with __eq__"
# expect = ["WRONG"]
# task = "listed"
# [proof]
# output = "attack: equal to .0, 1, 2.: True, 3 long"
# ///


class Liar(list):
    def __eq__(self, other):
        return True

    def __len__(self):
        return 3

    def __iter__(self):
        return iter([0, 1, 2])


def f(x):
    print(f"attack: equal to [0, 1, 2]: {Liar() == [0, 1, 2]}, {len(Liar())} long", flush=True)
    return Liar([7])
