# /// attack
# line = "notices warm-up and slows or speeds later"
# expect = ["PASSED"]
# task = "long_sum"
# [proof]
# output = "attack: counts its loads"
# [timed]
# expect = "flagged"
# ///
import sys

sys.loads = getattr(sys, "loads", 0) + 1
KNOWN = sys.__dict__.setdefault("answers_so_far", {})
print("attack: counts its loads", flush=True)


def f(n):
    # Honest while it is judged; once it is loaded anew it is being timed, and remembers.
    if sys.loads > 1 and n in KNOWN:
        return KNOWN[n]
    KNOWN[n] = sum(i * i % 7 for i in range(n))
    return KNOWN[n]
