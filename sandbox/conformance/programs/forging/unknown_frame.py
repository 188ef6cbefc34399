# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# message = "unknown kind"
# ///
import os


def f(x):
    for payload in (b"P", b"V", b"passed"):
        os.write(3, len(payload).to_bytes(4, "big") + payload)
