# /// attack
# line = "double-fork daemon"
# expect = ["PASSED"]
# [proof]
# output = "attack: a daemon, [0-9]+, in a session of its own"
# ///
import os
import signal
import time

if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    os.write(1, f"attack: a daemon, {os.getpid()}, in a session of its own\n".encode())
    while True:
        time.sleep(1)


def f(x):
    time.sleep(0.1)
    return 2 * x
