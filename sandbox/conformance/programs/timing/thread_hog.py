# /// attack
# line = "a CPU hog left behind"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: a thread spins"
# [timed]
# expect = "flagged"
# ///
import threading


def spin():
    while True:
        pass


if threading.active_count() == 1:
    threading.Thread(target=spin, daemon=True).start()
    print("attack: a thread spins", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
