# /// attack
# line = "endless loop"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: 4 threads loop"
# min_cpu_ms = 950
# ///
import threading


def loop():
    while True:
        pass


def f(x):
    for _ in range(4):
        threading.Thread(target=loop).start()
    print("attack: 4 threads loop", flush=True)
    threading.Event().wait()
