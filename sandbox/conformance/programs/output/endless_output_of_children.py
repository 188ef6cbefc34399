# /// attack
# line = "endless stdout, stderr"
# expect = ["OUTPUT"]
# [proof]
# output = "attack: 5 children flood"
# min_output_bytes = 1000000
# ///
import os


def f(x):
    print("attack: 5 children flood", flush=True)
    for _ in range(5):
        if not os.fork():
            while True:
                os.write(1, b"x" * 60_000)
    os.wait()
