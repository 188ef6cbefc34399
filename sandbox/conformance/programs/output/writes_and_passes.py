# /// attack
# line = "180 kB and then exit (must not time out)"
# expect = ["PASSED"]
# [proof]
# output = "attack: 90 kB"
# termination = "completed"
# min_output_bytes = 180000
# ///


def f(x):
    print("attack: 90 kB", "x" * 90_000)
    return 2 * x
