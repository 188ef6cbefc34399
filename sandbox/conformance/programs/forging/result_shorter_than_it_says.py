# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# message = "shorter than it says"
# ///
import os


def f(x):
    payload = b"R\xff\xff\xff\xff8"
    os.write(3, len(payload).to_bytes(4, "big") + payload)
