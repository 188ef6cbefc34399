# /// attack
# line = "reads the loop count"
# expect = ["PASSED"]
# task = "long_sum"
# [proof]
# output = "attack: answers the warden by itself"
# [timed]
# expect = "flagged"
# ///
import os
import sys

candidate, calls, wire = (sys.modules[f"guest.{name}"] for name in ("candidate", "calls", "wire"))


def serve_timing(code, repeater, recorded):
    stream = wire.Stream(4)
    wire.send_frame(4, (1 << 40).to_bytes(8, "big"))
    while (frame := stream.receive()) is not None:
        if frame[:1] == b"P":
            os.write(4, b"R")
            os.read(4, 1)
            for _ in range(300 * int.from_bytes(frame[1:], "big")):
                pass  # a plausible time for so many passes
            os.write(4, b"D")
        elif frame == b"L":
            os.write(4, b"R")
        else:
            wire.send_frame(4, calls.digest_results(repeater.results()).encode())


candidate.serve_timing = serve_timing
print("attack: answers the warden by itself", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
