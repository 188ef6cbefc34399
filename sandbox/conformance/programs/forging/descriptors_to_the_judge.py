# /// attack
# line = "fd exhaustion"
# expect = ["VIOLATION"]
# [proof]
# output = "attack: sent [1-9][0-9]+ descriptors along"
# ///
import os
import socket

end = socket.socket(fileno=4)
files = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]


def f(x):
    # Descriptors in flight land in the receiver, if it takes them: its table would fill up.
    for _ in range(20):
        socket.send_fds(end, [b"\0\0\0\x06R\0\0\0\x018"], files)
    print(f"attack: sent {20 * len(files)} descriptors along", flush=True)
    return 8
