"""Verdicts per second of `annotate` on one core and on two: does a second core count as much as the first?

`python -m tests.benchmarks.scaling [--cores 0,1] [--samples 4000] [--repeats 3]`

The starter set's solutions and failing ones are judged as `annotate` does it, rows written included. A run on one core
has that core for everything, the host side too, as a machine with one core would. Runs take turns. Efficiency is the
rate on all cores over the sum of the rates on each, turn by turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from harness.annotation.executing import execute
from harness.core_locks import claim
from harness.errors import UserError
from harness.problems import load_problems, starter_solutions
from harness.progress import SilentReporter
from harness.records import FinishReason, Sample
from harness.store import write_rows
from sandbox import Sandbox

FAILING = ("    return None\n", "    raise ValueError\n", "    return [\n")


def samples(count: int) -> list[Sample]:
    """Problem by problem, as sampling leaves them: the same solutions again and again, in rows of their own."""
    solutions = starter_solutions()
    share = -(-count // len(solutions))
    rows = [
        Sample(task_id, number, "m", code, FinishReason.EOS)
        for task_id, own in solutions.items()
        for number, code in enumerate(islice(cycle([*(one.code for one in own), *FAILING]), share))
    ]
    return rows[:count]


def rate(cores: list[int], count: int) -> float:
    """Verdicts per second, the start of the sandbox left out."""
    os.sched_setaffinity(0, cores)
    problems = {problem.task_id: problem for problem in load_problems("starter", ["train", "validation", "test"])}
    rows = samples(count)
    with tempfile.TemporaryDirectory() as folder, claim(cores, needed=cores), Sandbox(cores=cores) as sandbox:
        write_rows(Path(folder) / "samples.jsonl", rows)
        execute(problems, rows[:100], 100, Path(folder) / "warm-up.jsonl", sandbox, SilentReporter())
        begin = time.perf_counter()
        execute(problems, rows, count, Path(folder) / "executions.jsonl", sandbox, SilentReporter())
        return count / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default="0,1")
    parser.add_argument("--samples", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="one run on these cores; prints the rate")
    options = parser.parse_args()
    cores = [int(core) for core in options.cores.split(",")]
    if options.once:
        try:
            print(rate(cores, options.samples))
        except UserError as error:  # a core is in use
            sys.exit(str(error))
        return
    sets = [*([core] for core in cores), cores]
    rates: dict[str, list[float]] = {",".join(map(str, one)): [] for one in sets}
    for _ in range(options.repeats):
        for name, found in rates.items():
            words = [sys.executable, "-m", "tests.benchmarks.scaling", "--once", "--cores", name]
            words += ["--samples", str(options.samples)]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                sys.exit(f"the run on cores {name} failed")
            found.append(float(done.stdout))
    turns = [
        rates[options.cores][turn] / sum(rates[str(core)][turn] for core in cores) for turn in range(options.repeats)
    ]
    result = {
        "samples": options.samples,
        "verdicts_per_second": {name: [round(one, 1) for one in found] for name, found in rates.items()},
        "efficiency": {"median": round(median(turns), 3), "turns": [round(one, 3) for one in turns]},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
