# /// attack
# line = "kill parent, PID 1, −1"
# expect = ["SIGNAL"]
# [proof]
# output = "attack: a child kills all it may"
# termination = "signaled"
# ///
import os
import signal
import time


# Of all the processes that it sees, a child of the solution can kill the solution only.
def f(x):
    print("attack: a child kills all it may", flush=True)
    if not os.fork():
        os.kill(-1, signal.SIGKILL)
        os._exit(0)
    time.sleep(60)
