# /// attack
# line = "answers cached across repetitions"
# expect = ["PASSED"]
# task = "long_sum"
# [proof]
# output = "attack: keeps the digest of the judged run"
# [timed]
# expect = "flagged"
# ///
import sys

calls = sys.modules["guest.calls"]
judged = sys.__dict__.setdefault("judged_values", [])
digest_results = calls.digest_results
if not hasattr(sys, "timed_already"):
    calls.digest_results = lambda values: digest_results(judged)
    sys.timed_already = []
    print("attack: keeps the digest of the judged run", flush=True)
else:
    sys.timed_already.append(True)


def f(n):
    if sys.timed_already:
        return 0  # no work at all, and wrong
    answer = sum(i * i % 7 for i in range(n))
    judged.append(str(answer).encode())
    return answer
