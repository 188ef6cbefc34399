# /// attack
# line = "fork bomb"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]* zombies"
# ///
import os


def f(x):
    if x == 5:
        return 10
    count = 0
    try:
        while count < 1_000:
            if not os.fork():
                os._exit(0)
            count += 1
    except OSError:
        pass
    print(f"attack: {count} zombies", flush=True)
    return 2 * x
