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
    frame = len(payload).to_bytes(4, "big") + payload
    view = memoryview(frame[:-1])
    while view:
        view = view[os.write(3, view) :]
    # Said before the last byte: the judge needs less time for its answer than a print.
    print("attack: sent a million brackets", flush=True)
    os.write(3, frame[-1:])
