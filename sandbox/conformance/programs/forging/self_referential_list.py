# /// attack
# line = "self-referential list"
# expect = ["ERROR"]
# [proof]
# output = "attack: contains itself: True"
# message = "nested too deeply"
# ///


def f(x):
    a = []
    a.append(a)
    print(f"attack: contains itself: {a[0] is a}", flush=True)
    return a
