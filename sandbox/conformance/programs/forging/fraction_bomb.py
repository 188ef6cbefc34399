# /// attack
# line = "forged result frames on every fd"
# expect = ["TIMEOUT_WALL", "TIMEOUT_CPU", "VIOLATION"]
# [proof]
# output = "attack: sent a fraction of 2 numbers of 7 MB"
# ///
import os
import time


def f(x):
    value = b'{"fraction":["0x' + b"7" * 7_000_000 + b'","0x' + b"9" * 6_999_999 + b'"]}'
    payload = b"R" + len(value).to_bytes(4, "big") + value
    view = memoryview(len(payload).to_bytes(4, "big") + payload)
    while view:
        view = view[os.write(4, view) :]
    print("attack: sent a fraction of 2 numbers of 7 MB", flush=True)
    time.sleep(60)
