# /// attack
# line = "notices warm-up and slows or speeds later"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: prints in every call"
# [timed]
# expect = "true"
# ///


def f(n):
    print("attack: prints in every call", "x" * 500, flush=True)
    return sum(i * i % 7 for i in range(n))
