"""What the drivers share: jobs in from a file, results out as lines, CPU time of the whole container.

Runs in the sandbox image: standard library only. The jobs' processes inherit standard output and may write to it, so
every record begins a new line with a word that the caller chose.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

CPU_FILES = (
    ("/sys/fs/cgroup/cpuacct/cpuacct.usage", "v1"),
    ("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "v1"),
    ("/sys/fs/cgroup/cpu.stat", "v2"),
)


def cpu_seconds() -> tuple[float, str]:
    """CPU time of everything in this container, dead processes included, and where the figure is from."""
    for path, version in CPU_FILES:
        try:
            with open(path) as stream:
                text = stream.read()
        except OSError:
            continue
        if version == "v1":
            return int(text) / 1e9, "cgroup"
        fields = dict(line.split() for line in text.splitlines())
        return int(fields["usage_usec"]) / 1e6, "cgroup"
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system, "os.times"


def drive(check: Callable[[dict[str, Any]], dict[str, Any]], ordered: Callable[..., Iterable[dict[str, Any]]]) -> None:
    """Run all jobs of the file argv[1] with argv[2] workers and write what came of each, then the totals.

    check: one job → {"passed", "status", "message"}. ordered(function, jobs, workers): the peer's own kind of pool.
    """
    path, workers, word = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(path) as stream:
        jobs = [json.loads(line) for line in stream]
    out = os.dup(1)

    def say(record: dict[str, Any]) -> None:
        os.write(out, f"\n{word} {json.dumps(record)}\n".encode())

    say({"python": sys.version.split()[0]})
    begin, (cpu_begin, source) = time.perf_counter(), cpu_seconds()
    for result in ordered(check, jobs, workers):
        say(result)
    seconds, cpu = time.perf_counter() - begin, cpu_seconds()[0] - cpu_begin
    say({"done": len(jobs), "wall_s": seconds, "cpu_s": cpu, "cpu_source": source})


def timed(check: Callable[[dict[str, Any]], dict[str, Any]], job: dict[str, Any]) -> dict[str, Any]:
    begin = time.perf_counter()
    result = check(job)
    return {"key": job["key"], "wall_s": time.perf_counter() - begin} | result
