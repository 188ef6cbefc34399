# /// attack
# line = "huge integer power in C"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: quadratic in C"
# termination = "cpu_limit"
# min_cpu_ms = 950
# ///
import sys


def f(x):
    sys.set_int_max_str_digits(0)
    print("attack: quadratic in C", flush=True)
    return str(1 << 10**7)
