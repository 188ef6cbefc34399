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

try:
    os.set_blocking(4, False)
    while True:
        os.write(4, b"\xff" * 1_000)
except BlockingIOError:
    os.set_blocking(4, True)
except OSError:
    pass  # it is only there where a solution is timed
print("attack: fills the control socket", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
