# /// attack
# line = "nan/inf"
# expect = ["WRONG"]
# task = "not_far"
# [proof]
# output = "attack: not further than the tolerance: True"
# ///
NAN = float("nan")


def f(x):
    print(f"attack: not further than the tolerance: {not abs(NAN - 8) > 1e-6}", flush=True)
    return NAN
