# /// attack
# line = "sched_setaffinity, nice, sched_setscheduler"
# expect = ["PASSED"]
# task = "sum"
# prelude = true
# [proof]
# output = "refused: core (.|\\n)*refused: SCHED_FIFO (.|\\n)*refused: nice (.|\\n)*refused: nicer"
# [timed]
# expect = "true"
# ///

MINE = os.sched_getaffinity(0)
OTHER = min(set(range(os.cpu_count())) - MINE, default=63)
attempt(f"core {OTHER}", os.sched_setaffinity, 0, {OTHER})
try:
    os.sched_setaffinity(0, set(range(64)))
except OSError:
    pass
if os.sched_getaffinity(0) != MINE:
    print(f"REACHED: cores {os.sched_getaffinity(0)}")
for policy in ("SCHED_FIFO", "SCHED_RR"):
    attempt(policy, os.sched_setscheduler, 0, getattr(os, policy), os.sched_param(1))
attempt("nice", os.setpriority, os.PRIO_PROCESS, 0, -10)
for pid in processes():
    for action in (lambda: os.setpriority(os.PRIO_PROCESS, pid, 19), lambda: os.sched_setaffinity(pid, MINE)):
        try:
            action()
            print(f"REACHED: process {pid}", flush=True)
        except OSError:
            pass
attempt("SCHED_BATCH", os.sched_setscheduler, 0, os.SCHED_BATCH, os.sched_param(0))
attempt("nicer", os.setpriority, os.PRIO_PROCESS, 0, 5)


def f(n):
    return sum(i * i % 7 for i in range(n))
