# /// attack
# line = "forged result frames on every fd"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: closed and stays"
# ///
import os
import time


def f(x):
    print("attack: closed and stays", flush=True)
    os.close(3)
    time.sleep(60)
