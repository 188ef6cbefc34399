# /// attack
# line = "__reduce__ payload"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: sends a pickle"
# message = "not a result"
# ///
import os
import pickle


class Payload:
    def __reduce__(self):
        return os.system, ("echo REACHED",)


def f(x):
    print("attack: sends a pickle", flush=True)
    data = pickle.dumps(Payload())
    payload = b"R" + len(data).to_bytes(4, "big") + data
    os.write(3, len(payload).to_bytes(4, "big") + payload)
