# /// attack
# line = "forged result frames on every fd"
# expect = ["TIMEOUT_WALL"]
# [proof]
# output = "attack: sent half a header"
# termination = "wall_limit"
# min_wall_ms = 2900
# ///
import os
import time

os.write(3, b"\0\0")
print("attack: sent half a header", flush=True)
time.sleep(60)
