# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: wrote [0-9]+ frames to all but one"
# ///
import os

REPORTS = [b'{"outcome": "passed"}', b"F", b"Y", b"R\0\0\0\x018", b"R\0\0\0\x0210"]


def write(fd):
    try:
        return sum(os.write(fd, len(report).to_bytes(4, "big") + report) > 0 for report in REPORTS)
    except OSError:
        return 0


def f(x):
    # The judge's own socket last: it ends the run.
    written = sum(write(fd) for fd in range(64) if fd not in (0, 1, 2, 3))
    print(f"attack: wrote {written} frames to all but one", flush=True)
    write(3)
    return x
