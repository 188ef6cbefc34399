# /// attack
# line = "crashes CPython through ctypes or bad bytecode"
# expect = ["SIGNAL"]
# [proof]
# output = "attack: aborts, with cores allowed to none"
# termination = "signaled"
# ///
import os
import resource


def f(x):
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (10**6, 10**6))
        print("REACHED: core files", flush=True)
    except ValueError:
        print("attack: aborts, with cores allowed to none", flush=True)
    os.abort()
