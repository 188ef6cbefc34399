# /// attack
# line = "reads the loop count"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: looks for the number of passes"
# [timed]
# expect = "flagged"
# ///
import sys

KNOWN = sys.__dict__.setdefault("answers_by_pass", {})
print("attack: looks for the number of passes", flush=True)


def f(n):
    repeater = sys._getframe(1).f_locals.get("self")
    if getattr(repeater, "_passes", 1) > 1 and n in KNOWN:  # honest in single passes, quick in batches
        return KNOWN[n]
    KNOWN[n] = sum(i * i % 7 for i in range(n))
    return KNOWN[n]
