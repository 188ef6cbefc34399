# /// attack
# line = "slow leak"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: swallowed 100 MemoryErrors"
# min_cpu_ms = 950
# ///


def f(x):
    held, swallowed = [], 0
    while True:
        try:
            held.append(bytearray(64 << 20))
        except MemoryError:
            swallowed += 1
            if swallowed == 100:
                print("attack: swallowed 100 MemoryErrors", flush=True)
