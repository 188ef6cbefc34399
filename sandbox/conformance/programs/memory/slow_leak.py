# /// attack
# line = "slow leak"
# expect = ["MEMORY"]
# [proof]
# output = "attack: leaked 300 MiB"
# min_rss_mib = 300
# ///
LEAK = []


def f(x):
    while True:
        LEAK.append(b"x" * (1 << 20))
        if len(LEAK) == 300:
            print("attack: leaked 300 MiB", flush=True)
