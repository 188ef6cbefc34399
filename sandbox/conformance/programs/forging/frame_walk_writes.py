# /// attack
# line = "a frame walk that writes the verdict"
# expect = ["WRONG"]
# [proof]
# output = "attack: wrote into [1-9][0-9]* containers of [1-9][0-9]* frames"
# ///
import sys


def f(x):
    frame, frames, written = sys._getframe(1), 0, 0
    while frame:
        frames += 1
        for value in [*frame.f_globals.values(), *frame.f_locals.values()]:
            for target in (value, getattr(value, "__dict__", None)):
                if isinstance(target, dict) and target is not __builtins__:
                    try:
                        target.update(outcome="passed", passed=True, verdict="PASSED", result="passed")
                        written += 1
                    except TypeError:
                        pass
                elif isinstance(target, list) and frame.f_globals.get("__name__", "").startswith("guest"):
                    target.append("passed")
                    written += 1
        frame = frame.f_back
    print(f"attack: wrote into {written} containers of {frames} frames", flush=True)
    return None
