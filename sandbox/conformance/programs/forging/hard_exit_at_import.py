# /// attack
# line = "os._exit(0)"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: leaves for good"
# termination = "exited"
# ///
import os

print("attack: leaves for good", flush=True)
os._exit(0)
