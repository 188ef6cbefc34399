# /// attack
# line = "answers cached across repetitions"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: caches"
# [timed]
# expect = "flagged"
# ///
from functools import cache

print("attack: caches", flush=True)


@cache
def f(n):
    return sum(i * i % 7 for i in range(n))
