# /// attack
# line = "endless iterator"
# expect = ["MEMORY", "TIMEOUT_WALL", "TIMEOUT_CPU"]
# task = "sorted"
# [proof]
# output = "attack: returns a range of sixty million"
# ///


def f(x):
    print("attack: returns a range of sixty million", flush=True)
    return range(60_000_000)
