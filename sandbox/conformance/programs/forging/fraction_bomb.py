# /// attack
# line = "forged result frames on every fd"
# expect = ["TIMEOUT_WALL", "TIMEOUT_CPU", "VIOLATION"]
# [proof]
# output = "attack: sent a fraction of 2 numbers of 7 MB"
# ///
import os
import random
import time


def f(x):
    # Reducing it takes quadratic time, in one long operation in C.
    above, below = (b"%x" % random.Random(seed).getrandbits(28_000_000) for seed in (1, 2))
    value = b'{"fraction":["' + above + b'","' + below + b'"]}'
    payload = b"R" + len(value).to_bytes(4, "big") + value
    frame = len(payload).to_bytes(4, "big") + payload
    view = memoryview(frame[:-1])
    while view:
        view = view[os.write(3, view) :]
    # Said before the last byte: the judge needs less time for its answer than a print.
    print("attack: sent a fraction of 2 numbers of 7 MB", flush=True)
    os.write(3, frame[-1:])
    time.sleep(60)
