# /// attack
# line = "10⁶-deep nesting"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: sent nested tags"
# message = "not a result"
# ///
import os


def f(x):
    value = b'{"tuple":[' * 50_000 + b"8" + b"]}" * 50_000
    payload = b"R" + len(value).to_bytes(4, "big") + value
    view = memoryview(len(payload).to_bytes(4, "big") + payload)
    while view:
        view = view[os.write(3, view) :]
    print("attack: sent nested tags", flush=True)
