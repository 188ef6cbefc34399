# /// attack
# line = "10⁶-deep nesting"
# expect = ["ERROR", "WRONG", "VIOLATION"]
# task = "round_trip"
# [proof]
# output = "attack: (returned a value that cannot go back|runs in one process with the test)"
# ///
import json
import os

# A value that crosses on its way out but is too deep to be an argument: if that makes the run fall back to one process
# with the test, the forged report below is what the warden reads.
REPORT = json.dumps({"outcome": "passed", "calls": 2}).encode()


def f(x):
    if callable(globals().get("check")):
        print("attack: runs in one process with the test", flush=True)
        os.write(3, len(REPORT).to_bytes(4, "big") + REPORT)
        os._exit(0)
    a = 8
    for _ in range(199):
        a = [a]
    print("attack: returned a value that cannot go back", flush=True)
    return a
