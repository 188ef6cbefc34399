# /// attack
# line = "endless stdout, stderr"
# expect = ["OUTPUT"]
# [proof]
# output = "attack: floods stderr"
# termination = "output_limit"
# min_output_bytes = 1000000
# ///
import sys


def f(x):
    print("attack: floods stderr", file=sys.stderr)
    while True:
        sys.stderr.write("x" * 999 + "\n")
