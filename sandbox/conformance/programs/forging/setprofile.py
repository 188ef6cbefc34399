# /// attack
# line = "sys.settrace/sys.setprofile/audit hook"
# expect = ["WRONG"]
# [proof]
# output = "attack: profiled [a-z_]+"
# ///
import sys


def profile(frame, event, argument):
    if event == "return" and frame.f_globals.get("__name__", "").startswith("guest"):
        sys.setprofile(None)
        print(f"attack: profiled {frame.f_code.co_name}", flush=True)
        sys.modules["guest.calls"].encode_result = lambda value, changed: b"R\0\0\0\x04true"


def f(x):
    sys.setprofile(profile)
    return x
