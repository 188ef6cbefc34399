# /// attack
# line = "work left to a thread"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: the thread goes on after the answer"
# [timed]
# expect = "flagged"
# ///
import threading

# The last part of the work is left to a thread that is still at it when the function has returned.
REST = {}


def rest(n):
    REST[n] = sum(i * i % 7 for i in range(n))


def f(n):
    if n in REST:
        answer = REST[n]
        threading.Thread(target=rest, args=(n,), daemon=True).start()
        return answer
    rest(n)
    print("attack: the thread goes on after the answer", flush=True)
    return REST[n]
