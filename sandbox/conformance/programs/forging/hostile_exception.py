# /// attack
# line = "__del__/__repr__/__class__ tricks"
# expect = ["ERROR"]
# [proof]
# output = "attack: raises what cannot be shown"
# ///


class Nasty(AssertionError):
    def __str__(self):
        raise SystemExit(0)

    __repr__ = __str__


Nasty.__name__ = "passed" * 1_000


def f(x):
    print("attack: raises what cannot be shown", flush=True)
    raise Nasty
