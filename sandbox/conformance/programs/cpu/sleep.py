# /// attack
# line = "sleep"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: sleeps"
# termination = "wall_limit"
# min_wall_ms = 2900
# ///
import time


def f(x):
    print("attack: sleeps", flush=True)
    while True:
        time.sleep(60)
