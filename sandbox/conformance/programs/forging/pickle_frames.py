# /// attack
# line = "__reduce__ payload"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: sent pickle and marshal"
# ///
import marshal
import os
import pickle


class Payload:
    def __reduce__(self):
        return os.system, ("echo REACHED",)


def f(x):
    for data in (pickle.dumps(Payload()), marshal.dumps(f.__code__)):
        payload = b"R" + len(data).to_bytes(4, "big") + data
        os.write(4, len(payload).to_bytes(4, "big") + payload)
    print("attack: sent pickle and marshal", flush=True)
    return 1
