# /// attack
# line = "endless stdout, stderr"
# expect = ["OUTPUT", "PASSED"]
# [proof]
# output = "attack: 10 MB at once"
# min_output_bytes = 1000000
# ///


# The answer is right; whether the limit or the answer is seen first is a race.
def f(x):
    print("attack: 10 MB at once", "x" * 10_000_000, flush=True)
    return 2 * x
