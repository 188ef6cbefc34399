# /// attack
# line = "10 MB exception message"
# expect = ["ERROR"]
# [proof]
# output = "attack: a name of a million"
# message = "xxxxx"
# ///


def f(x):
    kind = type("x" * 10**6, (Exception,), {})
    print("attack: a name of a million", flush=True)
    raise kind("y")
