# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION", "WRONG"]
# [proof]
# output = "attack: a result while loading"
# ///
import os

print("attack: a result while loading", flush=True)
value = b"R\0\0\0\x018"
os.write(3, len(value).to_bytes(4, "big") + value)


def f(x):
    return None
