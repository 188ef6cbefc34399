# /// attack
# line = "fd exhaustion"
# expect = ["PASSED"]
# [proof]
# output = "attack: 40 descriptors along with the frame"
# ///
import os
import socket
import sys

# Descriptors in flight land in the receiver, if it takes them: its table would fill up.
end = socket.socket(fileno=3)
files = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]


def send(fd, payload):
    sent = socket.send_fds(end, [len(payload).to_bytes(4, "big") + payload], files)
    if sent == len(payload) + 4 and payload[:1] == b"R":
        os.write(1, b"attack: 40 descriptors along with the frame\n")


sys.modules["guest.wire"].send_frame = send


def f(x):
    return 2 * x
