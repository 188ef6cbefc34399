# /// attack
# line = "name bombs (10⁵ files deep)"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]{2,} folders, deep and wide"
# ///
import os


def f(x):
    if x == 5:
        return 10
    made = 0
    try:
        for _ in range(1_000):
            for name in "abc":
                os.mkdir(name, 0o100 if name != "a" else 0o700)
                made += 1
            os.chdir("a")
    except OSError:
        pass
    print(f"attack: {made} folders, deep and wide", flush=True)
    return 2 * x
