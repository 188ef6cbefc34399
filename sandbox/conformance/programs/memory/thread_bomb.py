# /// attack
# line = "thread bomb"
# expect = ["PASSED"]
# [proof]
# output = "attack: no more than [1-9][0-9]* threads"
# ///
import threading


def f(x):
    threads = []
    try:
        while len(threads) < 10_000:
            threads.append(threading.Thread(target=threading.Event().wait, daemon=True))
            threads[-1].start()
    except RuntimeError:
        print(f"attack: no more than {len(threads)} threads", flush=True)
    return 2 * x
