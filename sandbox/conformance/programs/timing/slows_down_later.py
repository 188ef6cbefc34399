# /// attack
# line = "notices warm-up and slows or speeds later"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: counts its calls"
# [timed]
# expect = "true"
# min_ratio = 0.9
# ///
COUNT = [0]
print("attack: counts its calls", flush=True)


def f(n):
    COUNT[0] += 1
    for _ in range(1 + (COUNT[0] > 9)):
        total = sum(i * i % 7 for i in range(n))
    return total
