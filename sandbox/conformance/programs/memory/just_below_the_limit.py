# /// attack
# line = "huge bytearray"
# expect = ["PASSED"]
# [proof]
# output = "attack: holds 400 MiB"
# min_rss_mib = 390
# [runsc]
# expect = ["PASSED", "TIMEOUT_CPU"]
# ///


def f(x):
    block = bytearray(400 << 20)
    for start in range(0, len(block), 4_096):
        block[start] = 1
    print("attack: holds 400 MiB", flush=True)
    return 2 * x
