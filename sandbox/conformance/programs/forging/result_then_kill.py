# /// attack
# line = "a result and then a crash"
# expect = ["SIGNAL"]
# [proof]
# output = "attack: answered, then died"
# termination = "signaled"
# ///
import os
import signal


def f(x):
    if x == 4:
        return 8
    print("attack: answered, then died", flush=True)
    os.write(3, b"\0\0\0\x07R\0\0\0\x0210")
    os.kill(os.getpid(), signal.SIGKILL)
