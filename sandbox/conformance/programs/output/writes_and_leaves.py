# /// attack
# line = "180 kB and then exit (must not time out)"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: 180 kB"
# termination = "exited"
# min_output_bytes = 180000
# ///
import sys


def f(x):
    print("attack: 180 kB", "x" * 180_000)
    sys.stdout.flush()
    sys.exit(0)
