# /// attack
# line = "10 MB exception message"
# expect = ["ERROR"]
# [proof]
# output = "attack: raises 10 MB"
# message = "^ValueError: xxxxx"
# ///


def f(x):
    print("attack: raises 10 MB", flush=True)
    raise ValueError("x" * 10_000_000)
