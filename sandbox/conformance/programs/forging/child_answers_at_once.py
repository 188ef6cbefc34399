# /// attack
# line = "a result and then a crash"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: the child serves, the parent is dead"
# ///
import os

# The process that is watched and measured is gone; a child with the same socket does the talking.
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    pass
print("attack: the child serves, the parent is dead", flush=True)


def f(x):
    return 2 * x
