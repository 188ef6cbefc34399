# /// attack
# line = "nan/inf"
# expect = ["WRONG"]
# task = "tolerance"
# [proof]
# output = "attack: returns inf"
# ///


def f(x):
    print("attack: returns inf", flush=True)
    return float("inf")
