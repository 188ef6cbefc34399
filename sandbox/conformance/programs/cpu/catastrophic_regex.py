# /// attack
# line = "catastrophic regex"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: backtracks"
# termination = "cpu_limit"
# min_cpu_ms = 950
# ///
import re


def f(x):
    print("attack: backtracks", flush=True)
    re.match(r"(a+)+$", "a" * 60 + "b")
