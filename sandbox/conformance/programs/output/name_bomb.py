# /// attack
# line = "name bombs (10⁵ files deep)"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]{2,} deep, [1-9][0-9]{3,} bytes of path"
# [runsc]
# expect = ["TIMEOUT_CPU"]
# proof = { min_cpu_ms = 1000, termination = "cpu_limit" }
# ///
import os


def f(x):
    if x == 5:
        return 10
    deep = 0
    try:
        while deep < 100_000:
            os.mkdir("n" * 200)
            os.chdir("n" * 200)
            deep += 1
    except OSError:
        pass
    print(f"attack: {deep} deep, {201 * deep} bytes of path", flush=True)
    return 2 * x
