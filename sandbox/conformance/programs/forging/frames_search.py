# /// attack
# line = "a frame walk or gc.get_objects or ctypes search for the expected value"
# expect = ["WRONG"]
# prelude = true
# [proof]
# output = "attack: searched [1-9][0-9]* frames"
# ///
import sys


def f(x):
    frame, frames = sys._getframe(), 0
    while frame:
        frames += 1
        names = {*frame.f_locals, *frame.f_globals, frame.f_code.co_name}
        for name in ("check", "candidate", "assert", "expected"):
            if name in names and callable(frame.f_locals.get(name, frame.f_globals.get(name))):
                print(f"REACHED: {name} in {frame.f_code.co_name}", flush=True)
        frame = frame.f_back
    print(f"attack: searched {frames} frames", flush=True)
    return None
