# /// attack
# line = "self-referential list"
# expect = ["ERROR"]
# [proof]
# output = "attack: contains itself: True"
# message = "too deeply|too many"
# ///


def f(x):
    a = {}
    a["a"] = [a, a, (a, {"a": a})]  # doubles at every level
    print(f"attack: contains itself: {a['a'][0] is a}", flush=True)
    return a
