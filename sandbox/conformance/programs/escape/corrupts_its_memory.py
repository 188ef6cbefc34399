# /// attack
# line = "crashes CPython through ctypes or bad bytecode"
# expect = ["WRONG", "SIGNAL", "ERROR", "EARLY_EXIT"]
# [proof]
# output = "attack: 8 is 9 here: True"
# ///
import ctypes

# It changes the small integers of its own process; the judge and the next run have their own.


def f(x):
    value = int("8")
    ctypes.c_uint32.from_address(id(value) + 24).value = 9
    print(f"attack: 8 is 9 here: {4 + 4 == int('9')}", flush=True)
    return 4 + 4 + x
