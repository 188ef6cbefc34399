# /// attack
# line = "work left to a thread"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: sleeps, which costs no CPU time"
# min_wall_ms = 15
# [timed]
# expect = "flagged"
# ///
import time

print("attack: sleeps, which costs no CPU time", flush=True)


def f(n):
    time.sleep(0.005)
    return sum(i * i % 7 for i in range(n))
