# /// attack
# line = "endless loop"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: loops"
# termination = "cpu_limit"
# min_cpu_ms = 950
# ///


def f(x):
    print("attack: loops", flush=True)
    while True:
        pass
