# /// attack
# line = "reads the loop count"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: fills the control socket"
# [timed]
# expect = "flagged"
# ///
import os

os.set_blocking(3, False)
try:
    while True:
        os.write(3, b"\xff" * 1_000)
except BlockingIOError:
    pass
os.set_blocking(3, True)
print("attack: fills the control socket", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
