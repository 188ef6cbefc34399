# /// attack
# line = "10⁶-deep nesting"
# expect = ["VIOLATION"]
# [proof]
# message = "not a result"
# ///
import os


def f(x):
    value = b"9" * 5_000  # more digits than int() takes
    payload = b"R" + len(value).to_bytes(4, "big") + value
    os.write(3, len(payload).to_bytes(4, "big") + payload)
