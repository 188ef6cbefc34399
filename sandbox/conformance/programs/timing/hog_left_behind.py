# /// attack
# line = "a CPU hog left behind"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: left 3 hogs"
# [timed]
# expect = "flagged"
# ///
import os
import signal


def hog():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    os.setsid()
    while True:
        pass


if not hasattr(signal, "hogs"):
    signal.hogs = [pid for pid in (os.fork() or hog() for _ in range(3))]
    print("attack: left 3 hogs", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
