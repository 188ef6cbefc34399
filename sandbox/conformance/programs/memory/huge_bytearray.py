# /// attack
# line = "huge bytearray"
# expect = ["MEMORY"]
# [proof]
# output = "attack: asks for 10 GB"
# message = "MemoryError"
# ///


def f(x):
    print("attack: asks for 10 GB", flush=True)
    return len(bytearray(10**10))
