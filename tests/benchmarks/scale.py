"""`make bench-scale`: what our own part costs at a million samples, and what a cluster makes of that.

Driver: generated samples go through import, annotate and merge, each in a process of its own, with the project's own
code. Of annotation it is the driver of a cluster (real Ray, one node) whose hosts are stubs that answer at once; in the
end, on a tenth of the samples, also one machine's whole annotation with a stub for the sandbox: what hosts spend beside
judging and timing. Measured are memory and CPU time of the process, not of Ray's own.

Cluster: a simulation of problems being judged and timed on N nodes, with latencies that were measured in the real
sandbox (tests/benchmarks/data/latencies.json; `--measure FOLDER` makes it of a folder that was annotated) and with the
driver's CPU time per row as it came out above. A problem stays on one core; cores take the next as they become free.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console

from harness.progress import ConsoleReporter
from tests.benchmarks.machine import host_facts
from tests.benchmarks.scale_cluster import Cluster, Latencies, measured_latencies, simulate
from tests.benchmarks.scale_driver import DRIVER, MACHINE, Stages, generate, peak_bytes
from tests.benchmarks.tables import Table, markdown, number, show

SAMPLES, QUICK_SAMPLES = 1_000_000, 20_000
MOST_BYTES, MOST_CPU_MS = 1e9, 0.5  # aims: of the driver, and a sample
NODES, CORES_A_NODE = (1, 10, 100, 1_000), 32
LATENCIES = Path(__file__).parent / "data" / "latencies.json"


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage over all samples. rows: that it wrote. peak_bytes: largest resident memory, imports included."""

    stage: str
    samples: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    rows: int
    bytes_written: int


def in_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call it in a new process: its peak of memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.apply(work, arguments)


def run_stage(name: str, stage: Callable[[Path, int], list[Path]], folder: Path, samples: int) -> StageCost:
    begin, cpu = time.monotonic(), time.process_time()
    written = stage(folder, samples)
    seconds, cpu_seconds = time.monotonic() - begin, time.process_time() - cpu
    rows, size = sum(map(_lines, written)), sum(path.stat().st_size for path in written)
    return StageCost(name, samples, seconds, cpu_seconds, peak_bytes(), rows, size)


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b""))


def measure(folder: Path, samples: int, stages: Stages, reporter: ConsoleReporter) -> list[StageCost]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    costs = []
    in_process(generate, folder, samples)
    for name, stage in stages.items():
        reporter.say(f"{name}: {samples:,} samples")
        costs.append(in_process(run_stage, name, stage, folder, samples))
    shutil.rmtree(folder)
    return costs


def total(costs: Sequence[StageCost]) -> StageCost:
    """All stages after one another: sums, and the largest peak."""
    sums = {name: sum(getattr(cost, name) for cost in costs) for name in ("seconds", "cpu_seconds", "rows")}
    sums["bytes_written"] = sum(cost.bytes_written for cost in costs)
    return StageCost(stage="all", samples=costs[0].samples, peak_bytes=max(cost.peak_bytes for cost in costs), **sums)


def driver_table(driver: Sequence[StageCost], machine: StageCost) -> Table:
    rows = [
        [
            cost.stage,
            f"{cost.samples:,}",
            f"{cost.rows:,}",
            number(cost.bytes_written / 1e6, 0),
            number(cost.seconds, 1),
            number(cost.samples / cost.seconds, 0),
            number(1e3 * cost.cpu_seconds / cost.samples, 3),
            number(cost.peak_bytes / 1e6, 0),
        ]
        for cost in (*driver, total(driver), machine)
    ]
    columns = (
        "stage", "samples", "rows written", "MB", "seconds", "samples/s ↑", "CPU ms a sample ↓", "peak memory, MB ↓",
    )  # fmt: skip
    note = (
        f"Generated samples, 100 a problem; nothing is judged or timed. One run. Aims: {MOST_BYTES / 1e6:,.0f} MB, and "
        f"{MOST_CPU_MS} ms of CPU time a sample from import to merge (`all`). The last line: all that one machine does "
        "beside judging and timing, ids of programs and decisions included, which hosts do in a cluster."
    )
    return Table("Our own part", columns, rows, note)


def cluster_table(found: Sequence[Cluster], latencies: Latencies, samples: int) -> Table:
    rows = [
        [
            f"{one.nodes:,}",
            f"{one.cores:,}",
            number(one.hours, 2),
            number(samples / one.hours / 3600, 0),
            number(100 * one.efficiency, 0) + "%",
            number(100 * one.driver_busy, 0) + "%",
            number(one.core_hours, 0),
        ]
        for one in found
    ]
    columns = (
        "nodes", "cores", "hours ↓", "samples/s ↑", "cores at work ↑", "driver at work", "core hours paid ↓",
    )  # fmt: skip
    judged = f"{1e3 * median(latencies.judged):.0f} ms in the median, {1e3 * mean(latencies.judged):.0f} in the mean"
    note = (
        f"{samples:,} samples, 100 a problem, {CORES_A_NODE} cores a node. Latencies of {latencies.source}: "
        f"{latencies.runs:,} judged runs ({judged}) and {latencies.problems} timed problems "
        f"({min(latencies.timed):.1f} to {max(latencies.timed):.0f} s). Simulated, one seed; the driver's time per row "
        "is that of the table above, one core."
    )
    return Table("A cluster, simulated", columns, rows, note)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_SAMPLES:,} samples")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="default: a million; whole hundreds")
    parser.add_argument("--measure", type=Path, help="an annotated folder: write its latencies to where they are kept")
    parser.add_argument("--source", default="", help="with --measure: what was annotated there, in words")
    parser.add_argument("--simulate", type=Path, help="simulate only, with the driver's figures of this earlier result")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/scale.json"), help="JSON; tables beside it")
    options = parser.parse_args(arguments)
    if options.measure:
        LATENCIES.write_text(json.dumps(asdict(measured_latencies(options.measure, options.source))) + "\n")
        print(LATENCIES)
        return 0
    if options.simulate:
        earlier = json.loads(options.simulate.read_text())
        driver, machine = [StageCost(**one) for one in earlier["driver"]], StageCost(**earlier["machine"])
    else:
        samples = QUICK_SAMPLES if options.quick else options.samples
        folder, reporter = options.out.parent / "scale-rows", ConsoleReporter()
        driver = measure(folder, samples, DRIVER, reporter)
        machine = measure(folder, samples // 10, MACHINE, reporter)[-1]
    samples = driver[0].samples
    latencies = Latencies(**json.loads(LATENCIES.read_text()))
    a_row = driver[1].cpu_seconds / driver[1].rows
    found = [simulate(latencies, samples // 100, nodes, CORES_A_NODE, a_row, seed=1) for nodes in NODES]
    content = {"schema": 1, "driver": [asdict(one) for one in driver], "machine": asdict(machine)}
    content |= {"cluster": [asdict(one) for one in found], "host": host_facts()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=1) + os.linesep)
    tables = [driver_table(driver, machine), cluster_table(found, latencies, samples)]
    options.out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in tables:
        show(table, console)
    every = total(driver)
    missed = every.peak_bytes > MOST_BYTES or 1e3 * every.cpu_seconds / samples > MOST_CPU_MS
    if missed:
        console.print("FAILED: an aim is missed, see the note of the first table")
    console.print(f"{options.out} and {options.out.with_suffix('.md')}", markup=False)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
