"""Runs per second of a trivial solution, and what a judge's start adds where no two tests are alike.

`python -m tests.benchmarks.throughput [RUNS]`
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

from sandbox import Job, Sandbox

JOB = Job(
    program="def double(x):\n    return 2 * x\n",
    test="def check(candidate):\n    assert candidate(4) == 8\n    assert candidate(5) == 10\n",
    entry_point="double",
)


def with_own_test(number: int) -> Job:
    return replace(JOB, test=f"{JOB.test}# {number}\n")


def main(runs: int) -> None:
    with Sandbox() as sandbox:
        sandbox.run(JOB)
        begin, host_begin = time.perf_counter(), time.process_time()
        passed = sum(execution.passed for execution in sandbox.run_many([JOB] * runs))
        seconds, host = time.perf_counter() - begin, time.process_time() - host_begin
        start = time.perf_counter()
        fresh = min(runs, 500)
        fresh_passed = sum(one.passed for one in sandbox.run_many([with_own_test(number) for number in range(fresh)]))
        apart = time.perf_counter() - start
    cores = len(sandbox.cores)
    result = {
        "runs": runs,
        "passed": passed,
        "with_a_test_of_their_own": fresh,
        "of_these_passed": fresh_passed,
        "cores": cores,
        "runs_per_second": round(runs / seconds, 1),
        "judge_start_ms": round(1_000 * cores * (apart / fresh - seconds / runs), 2),
        "host_cpu_ms_per_run": round(1_000 * host / runs, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
