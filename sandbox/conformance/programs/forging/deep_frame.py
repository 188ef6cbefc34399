# /// attack
# line = "10⁶-deep nesting"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: sent a million brackets"
# message = "not a result"
# ///
import os


def f(x):
    value = b"[" * 10**6 + b"]" * 10**6
    payload = b"R" + len(value).to_bytes(4, "big") + value
    view = memoryview(len(payload).to_bytes(4, "big") + payload)
    while view:
        view = view[os.write(3, view) :]
    print("attack: sent a million brackets", flush=True)
