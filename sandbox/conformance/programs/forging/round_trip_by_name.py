# /// attack
# line = "always-true __eq__"
# expect = ["ERROR", "WRONG", "VIOLATION"]
# task = "round_trip_by_name"
# [proof]
# output = "attack: (returned a value that cannot go back|runs in one process with the test)"
# ///
import json
import os

# As round_trip_too_deep, with an object that cannot be passed on, handed back by keyword.
REPORT = json.dumps({"outcome": "passed", "calls": 2}).encode()


class Thing:
    def __eq__(self, other):
        return True


def f(x):
    if callable(globals().get("check")):
        print("attack: runs in one process with the test", flush=True)
        os.write(3, len(REPORT).to_bytes(4, "big") + REPORT)
        os._exit(0)
    print("attack: returned a value that cannot go back", flush=True)
    return Thing()
