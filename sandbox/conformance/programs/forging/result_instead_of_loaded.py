# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# message = "unknown kind"
# output = "attack: a result instead of the greeting"
# ///
import os

print("attack: a result instead of the greeting", flush=True)
value = b"R\0\0\0\x018"
os.write(3, len(value).to_bytes(4, "big") + value)


def f(x):
    return None
