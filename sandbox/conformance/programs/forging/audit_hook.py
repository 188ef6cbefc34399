# /// attack
# line = "sys.settrace/sys.setprofile/audit hook"
# expect = ["WRONG", "ERROR"]
# [proof]
# output = "attack: hook saw"
# ///
import os
import sys

said = []


def hook(event, arguments):
    if not said and event not in ("object.__getattr__",):
        said.append(event)
        os.write(1, f"attack: hook saw {event}\n".encode())
    if event.startswith(("sys.", "gc.", "os.")):
        raise RuntimeError("nobody may look")


sys.addaudithook(hook)


def f(x):
    compile("1", "", "eval")
    return x
