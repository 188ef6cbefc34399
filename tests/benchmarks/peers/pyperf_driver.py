"""pyperf's own runner on the calls of a test: an instrument that shares nothing with ours but the machine.

For each job a script is written that loads the program, and pyperf's Runner times passes over the calls in processes of
its own. Arguments are copied before the clock starts, results that are iterators are drained.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from channel import drive, timed

SCRIPT = """
import sys
sys.path.insert(0, "/packages")
import marshal
import pyperf

PROGRAM, ENTRY_POINT, CALLS = {program!r}, {entry_point!r}, {calls!r}
namespace = dict(__name__="solution")
exec(compile(PROGRAM, "<solution>", "exec"), namespace)
function = namespace[ENTRY_POINT]
calls = eval(CALLS, dict(set=set, frozenset=frozenset))
encoded = [marshal.dumps(call) for call in calls]
plain = all(type(one) in (int, float, str, bool, type(None), bytes) for call in calls for one in call)
drained = [hasattr(function(*marshal.loads(call)), "__next__") for call in encoded]


def passes(loops):
    if plain:
        plan = [(call, drain) for call, drain in zip(calls, drained)]
        begin = pyperf.perf_counter()
        for _ in range(loops):
            for call, drain in plan:
                result = function(*call)
                if drain:
                    for _ in result:
                        pass
        return pyperf.perf_counter() - begin
    plan = list(zip(encoded, drained))
    prepared = [[(marshal.loads(call), drain) for call, drain in plan] for _ in range(loops)]
    begin = pyperf.perf_counter()
    for plan in prepared:
        for call, drain in plan:
            result = function(*call)
            if drain:
                for _ in result:
                    pass
    return pyperf.perf_counter() - begin


pyperf.Runner().bench_time_func("solution", passes)
"""
OPTIONS = ("--processes", "5", "--values", "3", "--warmups", "1", "--min-time", "0.005", "--quiet")


def check(job: dict[str, Any]) -> dict[str, Any]:
    script, out = f"/tmp/{job['key']}.py", f"/tmp/{job['key']}.json"
    with open(script, "w") as stream:
        stream.write(SCRIPT.format(program=job["program"], entry_point=job["entry_point"], calls=job["calls"]))
    done = subprocess.run(
        [sys.executable, "-s", "-B", script, *OPTIONS, "--output", out], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"error": done.stderr[-300:]}
    with open(out) as stream:
        (benchmark,) = json.load(stream)["benchmarks"]
    return {"values": [value for run in benchmark["runs"] for value in run.get("values", ())]}


def one_by_one(function: Callable[..., Any], jobs: list[dict[str, Any]], workers: int) -> Iterator[dict[str, Any]]:
    del workers  # timings share no core
    for job in jobs:
        yield timed(function, job)


if __name__ == "__main__":
    drive(check, one_by_one)
