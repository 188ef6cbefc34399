# /// attack
# line = "sys.settrace/sys.setprofile/audit hook"
# expect = ["WRONG"]
# [proof]
# output = "attack: changed a value of guest"
# ///
import ctypes
import os
import sys


def trace(frame, event, argument):
    name = frame.f_globals.get("__name__", "")
    if name.startswith("guest") and frame.f_code.co_name == "answer" and "value" in frame.f_locals:
        frame.f_locals["value"] = b"8"
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        os.write(1, f"attack: changed a value of {name}\n".encode())
    return trace


def f(x):
    sys.settrace(trace)
    frame = sys._getframe(1)
    while frame:
        frame.f_trace = trace
        frame = frame.f_back
    return [x]
