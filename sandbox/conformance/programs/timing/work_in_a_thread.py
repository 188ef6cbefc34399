# /// attack
# line = "work left to a thread"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: a thread works ahead"
# [timed]
# expect = "flagged"
# ///
import sys
import threading

# The thread goes on between the samples, and every call finds its answer made.
STATE = sys.__dict__.setdefault("thread_state", {"answers": {}})


def ahead():
    while True:
        for n in list(STATE["answers"]):
            STATE["answers"][n] = sum(i * i % 7 for i in range(n))


if "thread" not in STATE:
    STATE["thread"] = threading.Thread(target=ahead, daemon=True)
    STATE["thread"].start()
    print("attack: a thread works ahead", flush=True)


def f(n):
    if n not in STATE["answers"]:
        STATE["answers"][n] = sum(i * i % 7 for i in range(n))
    return STATE["answers"][n]
