# /// attack
# line = "work in a forked child"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: a child fills the shared memory"
# [timed]
# expect = "flagged"
# ///
import mmap
import os
import struct

# A child keeps the answers for all arguments of the test up to date in shared memory, at nobody's charge.
SHARED = mmap.mmap(-1, 4_096)
FIRST, COUNT = 4_000, 3
if not os.fork():
    while True:
        for index in range(COUNT):
            struct.pack_into("q", SHARED, 8 * index, sum(i * i % 7 for i in range(FIRST + index)))
print("attack: a child fills the shared memory", flush=True)


def f(n):
    while True:
        (answer,) = struct.unpack_from("q", SHARED, 8 * (n - FIRST))
        if answer:
            return answer
