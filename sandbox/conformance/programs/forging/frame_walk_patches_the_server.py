# /// attack
# line = "a frame walk that writes the verdict"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: patched a Server"
# ///
import gc
import sys


def f(x):
    frame = sys._getframe(1)
    server = frame.f_locals["self"]
    print(f"attack: patched a {type(server).__name__}", flush=True)
    module = sys.modules[type(server).__module__]
    # Everything that it says from now on is "True", "equal", "passed".
    module.codec.encode = lambda value, opaque=False: b'{"opaque": ["int", true, "8"]}'
    gc.collect()
    return "passed"
