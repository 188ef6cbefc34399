"""Measurements as pyperf suites, so that `python -m pyperf stats/hist/check/compare_to` work on them.

One file per set of solutions (one solution per problem, e.g. the fastest of a model), one benchmark per problem, one
pyperf Run per process. Nothing of this machine's state is collected now: it isn't the state of the measuring.
Beware of `compare_to`: it calls "significant" what has unequal numbers of values, one value each, or no variance. Hence
equal numbers here, and hence our own decisions (harness/timing/decisions.py) and pyperf's for display only.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyperf

from harness.records import MeasurementBlock, SolutionTiming
from harness.store import write_atomically

HOSTNAME = "code-optimise"


def pyperf_suite(
    blocks: Iterable[MeasurementBlock], chosen: Mapping[str, str], *, hostname: str = HOSTNAME
) -> pyperf.BenchmarkSuite | None:
    """A suite of the chosen solution ({task_id: solution_id}) of each problem; values are seconds of CPU time per pass.

    Contaminated blocks are left out, and problems without a timing of the chosen solution. Each process gives as many
    values as the shortest process of its problem has, whichever solution that ran, so that suites of two sets have
    equal counts wherever both solutions ran in the same rounds. None if nothing is left (pyperf has no empty suite).
    """
    processes: dict[str, list[tuple[MeasurementBlock, SolutionTiming]]] = {}
    shortest: dict[str, int] = {}
    for block in sorted(blocks, key=lambda block: block.round):
        wanted = chosen.get(block.task_id)
        if wanted is None or block.contaminated:
            continue
        for timing in block.solutions:
            if timing.cpu_ns and min(timing.cpu_ns) > 0 and timing.loops > 0:
                count = len(timing.cpu_ns)
                shortest[block.task_id] = min(shortest.get(block.task_id, count), count)
                if timing.solution_id == wanted:
                    processes.setdefault(block.task_id, []).append((block, timing))
    benchmarks = [
        pyperf.Benchmark([_run(block, timing, shortest[task_id], hostname) for block, timing in processes[task_id]])
        for task_id in sorted(processes)
    ]
    return pyperf.BenchmarkSuite(benchmarks) if benchmarks else None


def write_pyperf(
    path: Path, blocks: Iterable[MeasurementBlock], chosen: Mapping[str, str], *, hostname: str = HOSTNAME
) -> bool:
    """Write `pyperf_suite` as JSON, whole or not at all. False (and no file) if there is nothing to write."""
    suite = pyperf_suite(blocks, chosen, hostname=hostname)
    if suite is None:
        return False
    text = io.StringIO()
    suite.dump(text)
    write_atomically(path, text.getvalue())
    return True


def _run(block: MeasurementBlock, timing: SolutionTiming, count: int, hostname: str) -> pyperf.Run:
    metadata = {
        "name": block.task_id,
        "unit": "second",
        "hostname": hostname,
        "loops": timing.loops,
        "cpu_affinity": str(block.core),
        "python_hash_seed": block.hash_seed,
        "solution_id": timing.solution_id,
        "round": block.round,
    }
    values = [cpu_ns / timing.loops / 1e9 for cpu_ns in timing.cpu_ns[:count]]
    return pyperf.Run(values, metadata=metadata, collect_metadata=False)
