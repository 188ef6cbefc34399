# /// attack
# line = "fake time.*"
# expect = ["PASSED"]
# task = "sum"
# [proof]
# output = "attack: every clock says 0.0 and 0"
# [timed]
# expect = "true"
# ///
import os
import resource
import time

for name in ("time", "perf_counter", "process_time", "monotonic", "thread_time", "clock_gettime"):
    setattr(time, name, lambda *rest: 0.0)
    setattr(time, name + "_ns", lambda *rest: 0)
os.times = lambda: (0.0,) * 5
resource.getrusage = lambda who: resource.struct_rusage((0,) * 16)
print(f"attack: every clock says {time.perf_counter()} and {time.process_time_ns()}", flush=True)


def f(n):
    total = 0
    for i in range(n):
        total += i * i % 7
    return total
