# /// attack
# line = "10⁶-deep nesting"
# expect = ["ERROR"]
# [proof]
# output = "attack: nested a million times"
# message = "nested too deeply"
# ///


def f(x):
    a = []
    for _ in range(10**6):
        a = [a]
    print("attack: nested a million times", flush=True)
    return a
