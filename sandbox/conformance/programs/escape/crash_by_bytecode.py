# /// attack
# line = "crashes CPython through ctypes or bad bytecode"
# expect = ["SIGNAL"]
# [proof]
# output = "attack: loads a constant that is not there"
# termination = "signaled"
# ///
import dis


def g():
    return 1


def f(x):
    extended, load, give = dis.opmap["EXTENDED_ARG"], dis.opmap["LOAD_CONST"], dis.opmap["RETURN_VALUE"]
    code = g.__code__.replace(co_code=bytes([dis.opmap["RESUME"], 0, extended, 0x7F, extended, 0xFF, extended, 0xFF, load, 0xFF, give, 0]))
    g.__code__ = code
    print("attack: loads a constant that is not there", flush=True)
    return g()
