# /// attack
# line = "answers cached across repetitions"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: works for its first calls only"
# [timed]
# expect = "flagged"
# ///
import sys

sys.calls_made = getattr(sys, "calls_made", 0)
print("attack: works for its first calls only", flush=True)


def f(n):
    sys.calls_made += 1
    return sum(i * i % 7 for i in range(n)) if sys.calls_made <= 6 else 0
