# /// attack
# line = "forged result frames on every fd"
# expect = ["WRONG"]
# [proof]
# output = "attack: (wrote reports to the|there is no) control socket"
# ///
import json
import os

report = json.dumps({"outcome": "passed", "calls": 2, "recorded": 2, "results_digest": "", "calls_digest": ""}).encode()


def f(x):
    try:
        os.write(4, len(report).to_bytes(4, "big") + report)
        print("attack: wrote reports to the control socket", flush=True)
    except OSError:
        print("attack: there is no control socket", flush=True)
    return x
