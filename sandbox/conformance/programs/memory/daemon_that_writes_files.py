# /// attack
# line = "double-fork daemon"
# expect = ["PASSED"]
# [proof]
# output = "attack: [2-6] daemons make files"
# ///
import os
import time


# They race with whoever empties the folder.
def f(x):
    if x == 5:
        return 10
    for _ in range(6):
        if not os.fork():
            os.setsid()
            number = 0
            while True:
                number += 1
                try:
                    os.makedirs(f"{os.getpid()}/{number}/a")
                    os.chmod(f"{os.getpid()}/{number}", 0)
                except OSError:
                    pass
    time.sleep(0.1)
    print(f"attack: {len(os.listdir('.'))} daemons make files", flush=True)
    return 2 * x
