# /// attack
# line = "a result and then a crash"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: answered, then left"
# termination = "exited"
# ///
import os


def f(x):
    if x == 4:
        return 8
    print("attack: answered, then left", flush=True)
    os.write(3, b"\0\0\0\x07R\0\0\0\x0210")
    os._exit(0)
