# /// attack
# line = "fd exhaustion"
# expect = ["PASSED"]
# [proof]
# output = "attack: no more after [1-9][0-9]* descriptors"
# ///
import os

HELD = []


def f(x):
    try:
        while len(HELD) < 10**6:
            HELD.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        print(f"attack: no more after {len(HELD)} descriptors", flush=True)
    return 2 * x
