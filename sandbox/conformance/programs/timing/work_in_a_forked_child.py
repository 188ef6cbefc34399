# /// attack
# line = "work in a forked child"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: a child did the work"
# [timed]
# expect = "flagged"
# ///
import os


def f(n):
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, str(sum(i * i % 7 for i in range(n))).encode())
        os._exit(0)
    os.close(writer)
    answer = int(os.read(reader, 100))
    os.close(reader)
    os.waitpid(pid, 0)
    print("attack: a child did the work", flush=True)
    return answer
