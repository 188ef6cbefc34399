# /// attack
# line = "inode exhaustion"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]{1,} files and links, then ENOSPC"
# [runsc]
# expect = ["TIMEOUT_CPU"]
# proof = { min_cpu_ms = 1000, termination = "cpu_limit" }
# ///
import errno
import os


def f(x):
    if x == 5:
        return 10
    made = 0
    try:
        while made < 200_000:
            os.close(os.open(f"{made:06}", os.O_CREAT | os.O_WRONLY))
            made += 1
    except OSError as error:
        print(f"attack: {made} files and links, then {errno.errorcode[error.errno]}", flush=True)
    return 2 * x
