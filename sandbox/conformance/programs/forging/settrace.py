# /// attack
# line = "sys.settrace/sys.setprofile/audit hook"
# expect = ["WRONG"]
# [proof]
# output = "attack: traced guest"
# ///
import ctypes
import sys

seen = set()


def trace(frame, event, argument):
    name = frame.f_globals.get("__name__", "")
    if name.startswith("guest") and name not in seen:
        seen.add(name)
        sys.__stdout__.write(f"attack: traced {name}\n")
    for local in ("value", "result", "frame"):
        if local in frame.f_locals and name.startswith("guest"):
            frame.f_locals[local] = b"8"
            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
    return trace


def f(x):
    sys.settrace(trace)
    frame = sys._getframe(1)
    while frame:
        frame.f_trace = trace
        frame = frame.f_back
    return [x]
