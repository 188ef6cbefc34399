# /// attack
# line = "forged result frames on every fd"
# expect = ["WRONG"]
# [proof]
# output = "attack: wrote reports to the control socket"
# ///
import json
import os

report = json.dumps({"outcome": "passed", "calls": 2, "recorded": 2, "results_digest": "", "calls_digest": ""}).encode()


def f(x):
    os.write(3, len(report).to_bytes(4, "big") + report)
    print("attack: wrote reports to the control socket", flush=True)
    return x
