# /// attack
# line = "__reduce__ payload"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: sends marshalled code"
# message = "not a result"
# ///
import marshal
import os


def f(x):
    print("attack: sends marshalled code", flush=True)
    data = marshal.dumps(f.__code__)
    payload = b"R" + len(data).to_bytes(4, "big") + data
    os.write(3, len(payload).to_bytes(4, "big") + payload)
