# /// attack
# line = "poisoned json, struct, builtins.compile, sys.modules"
# expect = ["WRONG"]
# [proof]
# output = "attack: poisoned: 8"
# ///
import json
import struct
import sys

json.dumps = lambda *rest, **more: "8"
json.loads = lambda *rest, **more: 8
struct.pack = struct.unpack = lambda *rest: b"8"
sys.modules["json"].encoder = sys.modules["json"].decoder = None
print(f"attack: poisoned: {json.dumps(1)}", flush=True)


def f(x):
    return x if x == 4 else None
