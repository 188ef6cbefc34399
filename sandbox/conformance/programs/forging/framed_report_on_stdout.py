# /// attack
# line = 'forged "PASSED" on stdout'
# expect = ["WRONG"]
# [proof]
# output = "attack: framed"
# min_output_bytes = 100
# ///
import json
import os

print("attack: framed", flush=True)
answer = json.dumps({"report": {"outcome": "passed"}, "exit_code": 0, "signal": None, "dirty": ""}).encode()
for fd in (1, 2):
    # As the warden would write it, and as the engine would wrap that.
    os.write(fd, len(answer).to_bytes(4, "big") + answer)
    os.write(fd, b"\x01\0\0\0" + (len(answer) + 4).to_bytes(4, "big") + len(answer).to_bytes(4, "big") + answer)


def f(x):
    return x
