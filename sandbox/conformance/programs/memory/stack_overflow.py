# /// attack
# line = "unbounded recursion into a segfault"
# expect = ["SIGNAL"]
# [proof]
# output = "attack: recurses in C"
# termination = "signaled"
# ///
import sys


class Deep:
    def __getattr__(self, name):
        return getattr(self, name + "x"[:0])


def f(x):
    sys.setrecursionlimit(10**9)
    print("attack: recurses in C", flush=True)
    return Deep().a
