# /// attack
# line = "poisoned json, struct, builtins.compile, sys.modules"
# expect = ["WRONG"]
# [proof]
# output = "attack: poisoned: 8"
# ///
import json
import struct

json.dumps = lambda *rest, **more: "8"
struct.pack = struct.unpack = lambda *rest: b"8"
print(f"attack: poisoned: {json.dumps(1)}", flush=True)


def f(x):
    return None
