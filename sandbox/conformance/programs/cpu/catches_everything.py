# /// attack
# line = "except BaseException loop"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: caught 1000"
# termination = "cpu_limit"
# min_cpu_ms = 950
# ///


def f(x):
    caught = 0
    while True:
        try:
            while True:
                raise KeyboardInterrupt
        except BaseException:
            caught += 1
            if caught == 1_000:
                print("attack: caught 1000", flush=True)
