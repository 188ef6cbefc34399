# /// attack
# line = "a result and then a crash"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: a child is to serve"
# ///
import os

# The process that is watched and measured is gone; a child with the same socket does the talking.
parent = os.getpid()
print("attack: a child is to serve", flush=True)
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    pass


def f(x):
    return 2 * x
