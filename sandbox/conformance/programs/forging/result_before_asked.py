# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: answers both calls while loading"
# message = "before it was asked"
# ///
import os


def frame(payload):
    return len(payload).to_bytes(4, "big") + payload


def result(text):
    return frame(b"R" + len(text).to_bytes(4, "big") + text)


# Both answers and the farewell, before a single call was made.
print("attack: answers both calls while loading", flush=True)
os.write(3, result(b"8") + result(b"10") + frame(b"F"))
while True:
    pass
