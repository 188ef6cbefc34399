# /// attack
# line = "huge integer power in C"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: one long operation in C"
# termination = "cpu_limit"
# min_cpu_ms = 950
# ///


def f(x):
    print("attack: one long operation in C", flush=True)
    return 7 ** (10**8 + x)
