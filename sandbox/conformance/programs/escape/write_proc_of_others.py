# /// attack
# line = "/proc/PID/mem, environ, fd, maps of judge and warden"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "attack: [1-9][0-9]* refusals at [1-9][0-9]* processes"
# ///


def f(x):
    if x == 5:
        return 10
    others, refused = processes(), 0
    for pid in others:
        for name, text in (("mem", "x"), ("oom_score_adj", "1000"), ("comm", "x"), ("clear_refs", "1"), ("uid_map", "0 0 1"),
                           ("fd/1", "x"), ("fd/3", "x"), ("coredump_filter", "0"), ("timerslack_ns", "1")):  # fmt: skip
            try:
                with open(f"/proc/{pid}/{name}", "w") as stream:
                    stream.write(text)
                print(f"REACHED: /proc/{pid}/{name}", flush=True)
            except OSError:
                refused += 1
        for action in (lambda: syscall("pidfd_getfd", os.pidfd_open(pid), 3, 0),
                       lambda: syscall("pidfd_getfd", os.pidfd_open(pid), 0, 0)):  # fmt: skip
            try:
                print(f"REACHED: descriptor {action()} of {pid}", flush=True)
            except OSError:
                refused += 1
    print(f"attack: {refused} refusals at {len(others)} processes", flush=True)
    return 2 * x
