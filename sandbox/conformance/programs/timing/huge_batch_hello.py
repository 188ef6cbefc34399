# /// attack
# line = "reads the loop count"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: a batch of nothing"
# [timed]
# expect = "flagged"
# ///
import sys

# The hello says how many passes a batch may have; here in another size than the stopwatch expects.
wire = sys.modules["guest.wire"]
send = wire.send_frame
wire.send_frame = lambda fd, payload: send(fd, b"\xff" * 9 if fd == 4 and len(payload) == 8 else payload)
print("attack: a batch of nothing", flush=True)


def f(n):
    return sum(i * i % 7 for i in range(n))
