# /// attack
# line = "a valid result and then a second"
# expect = ["VIOLATION", "WRONG"]
# [proof]
# output = "attack: a thread answers too"
# ///
import os
import threading
import time


# An answer that is there before the question is a violation; one that comes after it is the answer, and wrong.
def late():
    for _ in range(2_000):
        os.write(3, b"\0\0\0\x06R\0\0\0\x018")


def f(x):
    if x == 4:
        thread = threading.Thread(target=late, daemon=True)
        print("attack: a thread answers too", flush=True)
        thread.start()
        return 8
    time.sleep(0.2)
    return 3
