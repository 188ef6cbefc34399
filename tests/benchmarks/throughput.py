"""Runs per second of a trivial solution: `python -m tests.benchmarks.throughput [RUNS]`."""

from __future__ import annotations

import json
import sys
import time

from sandbox import Job, Sandbox

JOB = Job(
    program="def double(x):\n    return 2 * x\n",
    test="def check(candidate):\n    assert candidate(4) == 8\n    assert candidate(5) == 10\n",
    entry_point="double",
)


def main(runs: int) -> None:
    with Sandbox() as sandbox:
        sandbox.run(JOB)
        begin, host_begin = time.perf_counter(), time.process_time()
        passed = sum(execution.passed for execution in sandbox.run_many([JOB] * runs))
        seconds, host = time.perf_counter() - begin, time.process_time() - host_begin
    result = {
        "runs": runs,
        "passed": passed,
        "cores": len(sandbox.cores),
        "runs_per_second": round(runs / seconds, 1),
        "host_cpu_ms_per_run": round(1_000 * host / runs, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
