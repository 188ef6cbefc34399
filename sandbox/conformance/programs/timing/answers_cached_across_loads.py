# /// attack
# line = "answers cached across repetitions"
# expect = ["PASSED"]
# task = "long_sum"
# [proof]
# output = "attack: remembers in the interpreter"
# [timed]
# expect = "flagged"
# ///
import sys

# Loading the program anew does not empty this.
KNOWN = sys.__dict__.setdefault("known_answers", {})
print("attack: remembers in the interpreter", flush=True)


def f(n):
    if n not in KNOWN:
        KNOWN[n] = sum(i * i % 7 for i in range(n))
    return KNOWN[n]
