"""What a judged call costs: `python -m tests.benchmarks.judge_speed`. Best of several rounds, µs.

The function under test is ours, so no sandbox is needed; judge and candidate are two processes, as in the container.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

from sandbox.guest import candidate, codec, judge, wire

VALUES: dict[str, Any] = {
    "int": 7,
    "short list of ints": [1, 2, 3, 4, 5, 6, 7, 8],
    "text": "a sentence of some forty characters, say",
    "list of tuples": [("a", 1), ("b", 2), ("c", 3)],
    "dict": {"one": 1, "two": [2, 2.5]},
    "set": {3, 1, 2},
    "10,000 ints": list(range(10_000)),
}
TEST = """\
def check(candidate):
    assert candidate([3, 1, 2]) == [3, 1, 2]
    assert candidate([]) == []
    assert candidate(['a', 'b']) == ['a', 'b']
    assert candidate([5, 4, 3, 2, 1]) == [5, 4, 3, 2, 1]
    assert candidate(7) == 7
    assert candidate('some text') == 'some text'
    assert candidate([1.5, 2.5]) == [1.5, 2.5]
"""
CALLS_IN_TEST = 7


def best(function: Callable[[], object], number: int, rounds: int = 15) -> float:
    """µs of one call, in the fastest round."""
    fastest = float("inf")
    for _ in range(rounds):
        start = time.perf_counter_ns()
        for _ in range(number):
            function()
        fastest = min(fastest, (time.perf_counter_ns() - start) / number / 1_000)
    return fastest


def serve(fd: int, runs: int) -> None:
    """The candidate's part, without its program."""
    os.dup2(fd, candidate.CALLS_FD)
    for _ in range(runs):
        candidate.Server(wire.Stream(candidate.CALLS_FD), {"f": lambda x: x}).serve()


def judged_runs(test: judge.Test, runs: int) -> list[int]:
    """ns of each run, from its first call to the decision. One candidate for all: what a fork costs is not in it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        serve(theirs.fileno(), runs)
        os._exit(0)
    theirs.close()
    taken = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        report = judge.judge_one(test, ours.fileno())
        taken.append(time.perf_counter_ns() - start)
        assert report["outcome"] == "passed", report
    os.waitpid(pid, 0)
    return taken


def main() -> None:
    for name, value in VALUES.items():
        encoded = codec.encode(value)
        number = 20 if len(encoded) > 10_000 else 2_000
        encoding = best(lambda value=value: codec.encode(value), number)
        decoding = best(lambda encoded=encoded: codec.decode(encoded), number)
        print(f"{name:20} encode {encoding:8.2f}   decode {decoding:8.2f}")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})  # as in the container: both on one core
    test = judge.Test(TEST, "", "f")
    runs = sorted(taken / 1_000 for taken in judged_runs(test, 2_000))
    print(f"judge_one, {CALLS_IN_TEST} calls    best {runs[0]:.0f}   median {runs[len(runs) // 2]:.0f}")


if __name__ == "__main__":
    main()
