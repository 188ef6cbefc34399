# /// attack
# line = "fd exhaustion"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]* descriptors in flight"
# ///
import os
import socket


# Descriptors that are sent and never received are open, and in nobody's table.
def f(x):
    if x == 5:
        return 10
    one, other = socket.socketpair()
    one.setblocking(False)
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(30)]
    sent = 0
    try:
        while sent < 10**5:
            socket.send_fds(one, [b"x"], files)
            sent += len(files)
    except OSError:
        pass
    f.held = (one, other)
    print(f"attack: {sent} descriptors in flight", flush=True)
    return 2 * x
