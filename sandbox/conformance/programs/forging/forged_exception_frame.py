# /// attack
# line = "raise SystemExit / SkipTest / KeyboardInterrupt"
# expect = ["VIOLATION", "ERROR"]
# task = "loop"
# [proof]
# output = "attack: sent exception frames of its own making"
# ///
import os


def send(payload):
    os.write(3, len(payload).to_bytes(4, "big") + payload)


def f(x):
    print("attack: sent exception frames of its own making", flush=True)
    send(b'X["__loader__","",["StopIteration","SystemExit"]]')
    send(b'X[8,8,8]')
    send(b"F")
    os._exit(0)
