# /// attack
# line = "memory in children"
# expect = ["PASSED", "MEMORY", "TIMEOUT_WALL", "TIMEOUT_CPU"]
# [proof]
# output = "attack: 8 children take 300 MiB each"
# [runsc]
# expect = ["MEMORY"]
# proof = { termination = "memory_limit" }
# breaks_container = true
# ///
import os


# More than the container may have: somebody has to go, and it must be one of these.
def f(x):
    for _ in range(8):
        if not os.fork():
            block = bytearray(300 << 20)
            while True:
                for start in range(0, len(block), 4_096):
                    block[start] = 1
    print("attack: 8 children take 300 MiB each", flush=True)
    for _ in range(3):
        os.wait()
    return 2 * x
