# /// attack
# line = "swallows SIGALRM/SIGXCPU/SIGTERM"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: ignores [3-6][0-9] signals"
# termination = "cpu_limit"
# min_cpu_ms = 950
# ///
import signal


def f(x):
    ignored = 0
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
            ignored += 1
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    print(f"attack: ignores {ignored} signals", flush=True)
    while True:
        pass
