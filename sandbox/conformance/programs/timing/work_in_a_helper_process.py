# /// attack
# line = "work in a forked child"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: asks its helper process"
# [timed]
# expect = "flagged"
# ///
import os

ASK, ANSWER = os.pipe(), os.pipe()
if not os.fork():
    while True:
        n = int(os.read(ASK[0], 100))
        os.write(ANSWER[1], str(sum(i * i % 7 for i in range(n))).encode())


def f(n):
    os.write(ASK[1], str(n).encode())
    print("attack: asks its helper process", flush=True)
    return int(os.read(ANSWER[0], 100))
