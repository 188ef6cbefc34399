# /// attack
# line = "reads the loop count"
# expect = ["PASSED"]
# task = "long_sum"
# [proof]
# output = "attack: took the loop away"
# [timed]
# expect = "flagged"
# ///
import sys

sys.modules["guest.candidate"].Repeater.run = lambda self: None
print("attack: took the loop away", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
