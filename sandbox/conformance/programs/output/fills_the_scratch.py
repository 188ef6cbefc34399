# /// attack
# line = "fills the scratch"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]{2,} KiB, then ENOSPC"
# ///
import errno
import os


def f(x):
    if x == 5:
        return 10
    written = number = 0
    reason = None
    while reason in (None, errno.EFBIG):
        number += 1
        with open(f"full-{number}", "wb", 0) as stream:
            try:
                while True:
                    written += stream.write(b"x" * 65_536)
            except OSError as error:
                reason = error.errno
    print(f"attack: {written >> 10} KiB, then {errno.errorcode[reason]}", flush=True)
    return 2 * x
