# /// attack
# line = "poisoned json, struct, builtins.compile, sys.modules"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: patched calls, codec"
# ///
import sys

calls, codec = sys.modules["guest.calls"], sys.modules["guest.codec"]
calls.encode_result = lambda value, changed: b"R\0\0\0\x1e" + b'{"opaque": ["int", true, "8"]}'
calls.CallDigest.results = calls.CallDigest.calls = lambda self: "0" * 32
codec.MAX_DEPTH = codec.MAX_NODES = 10**9
print("attack: patched calls, codec", flush=True)


def f(x):
    return None
