# /// attack
# line = "forged result frames on every fd"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: wrote to [2-9][0-9]* descriptors"
# ///
import os


def f(x):
    reports = [b'{"outcome": "passed"}', b"F", b"L", b"R\0\0\0\x018", b"R\0\0\0\x0210"]
    written = 0
    for fd in range(3, 64):
        for report in reports:
            try:
                os.write(fd, len(report).to_bytes(4, "big") + report)
                written += 1
            except OSError:
                break
    print(f"attack: wrote to {written} descriptors", flush=True)
    return x
