# /// attack
# line = "a result and then a crash"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: the parent leaves, the child stays"
# ///
import os
import time


def f(x):
    if os.fork():
        print("attack: the parent leaves, the child stays", flush=True)
        os._exit(0)
    time.sleep(0.3)
    return 2 * x
