# /// attack
# line = "answers cached across repetitions"
# expect = ["PASSED"]
# task = "long_sum"
# [proof]
# output = "attack: remembers in a file"
# [timed]
# expect = "flagged"
# ///
import os

print("attack: remembers in a file", flush=True)


def f(n):
    name = f"answer-{n}"
    if not os.path.exists(name):
        with open(name, "w") as stream:
            stream.write(str(sum(i * i % 7 for i in range(n))))
    with open(name) as stream:
        return int(stream.read())
