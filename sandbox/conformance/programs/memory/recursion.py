# /// attack
# line = "unbounded recursion into a segfault"
# expect = ["ERROR"]
# [proof]
# message = "RecursionError"
# ///


def f(x):
    return f(x)
