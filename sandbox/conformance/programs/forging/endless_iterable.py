# /// attack
# line = "endless iterator"
# expect = ["ERROR"]
# task = "listed"
# [proof]
# output = "attack: an iterable without end"
# ///


class Endless:
    def __len__(self):
        return 3

    def __iter__(self):
        return self

    def __next__(self):
        return 0


def f(x):
    print("attack: an iterable without end", flush=True)
    return Endless()
