# /// attack
# line = "crashes CPython through ctypes or bad bytecode"
# expect = ["SIGNAL"]
# [proof]
# output = "attack: reads address 0"
# termination = "signaled"
# ///
import ctypes


def f(x):
    print("attack: reads address 0", flush=True)
    return ctypes.string_at(0)
