"""`make bench-merge`: what merging many samples costs. Generated rows, so that there may be a million of them.

Each size is made and merged in processes of their own: the peak of memory is that of `merge` alone, its imports
included. Samples lie as `sample --n_iter 10` leaves them: every problem in ten places of the file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.progress import ConsoleReporter, SilentReporter
from harness.records import (
    ExecutionRow,
    FinishReason,
    MeasurementBlock,
    Problem,
    Sample,
    SolutionTiming,
)
from harness.store import write_rows
from harness.timing.decisions import CONFIRM_FROM
from tests.benchmarks.tables import Table, markdown, number, show

PER_PROBLEM, PARTS = 100, 10  # samples of a problem; places of the file that it is in
PASSING, FAILING = 12, 40  # distinct solutions; the others are copies
ROUNDS = (*range(5), *range(CONFIRM_FROM, CONFIRM_FROM + 5))
LINE = "    total = total + values[{0}] * {1}  # weigh the value at place {0} of the list\n"
MOST_BYTES = 1e9  # the aim of issue 5 for a million samples
SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Merged:
    """One size. bytes_in: of the samples folder. peak_bytes: the merging process' largest resident memory."""

    samples: int
    bytes_in: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    imports_bytes: int  # of it before merging began
    kept: dict[str, int]
    pairs: dict[str, int]


def problems(samples: int) -> list[Problem]:
    return [
        Problem(f"made/{n}", f'def f{n}(values):\n    """Number {n}."""\n', "", f"f{n}", "train", "made")
        for n in range(samples // PER_PROBLEM)
    ]


def make(folder: Path, count: int) -> None:
    """The files that sampling and annotation would leave."""
    tasks = problems(count)
    write_rows(folder / "samples.jsonl", sample_rows(tasks))
    write_rows(folder / "executions.jsonl", _executions(tasks))
    write_rows(folder / "measurements.jsonl", _blocks(tasks))


def _places(tasks: Sequence[Problem]) -> Iterator[tuple[Problem, int]]:
    step = PER_PROBLEM // PARTS
    for part in range(PARTS):
        for problem in tasks:
            for k in range(part * step, (part + 1) * step):
                yield problem, k


def sample_rows(tasks: Sequence[Problem]) -> Iterator[Sample]:
    for problem, k in _places(tasks):
        text = "".join(LINE.format(line, k % (PASSING + FAILING)) for line in range(3 + k % 5))
        yield Sample(problem.task_id, k, "made", text, FinishReason.FUNCTION_END, 1, 0.6, 120, 90)


def _executions(tasks: Sequence[Problem]) -> Iterator[ExecutionRow]:
    for problem, k in _places(tasks):
        which = k % (PASSING + FAILING)
        verdict = "PASSED" if which < PASSING else "WRONG"
        message = "" if which < PASSING else "AssertionError: expected 12, got 15"
        yield ExecutionRow(
            problem.task_id, k, "made", f"{which:016x}", verdict, "strong", "", "completed", message, 2_000_000,
            3_000_000, 12_000_000, 0,
        )  # fmt: skip


def _blocks(tasks: Sequence[Problem]) -> Iterator[MeasurementBlock]:
    for problem in tasks:
        rng = random.Random(problem.task_id)
        true = [300.0 * 1.12**which for which in range(PASSING)]
        for round_number in ROUNDS:
            timings = []
            for which, ns in enumerate(true):
                cpu = [int(1_000 * ns * (1 + abs(rng.gauss(0, 0.02)))) for _ in range(3)]
                timings.append(SolutionTiming(f"{which:016x}", 1_000, cpu, cpu, int(ns), 0, 9, "same calls"))
            yield MeasurementBlock(
                problem.task_id, round_number, 1, 7, (100_000, 100_000), False, timings, of="all", seconds=0.2
            )


def merge_once(folder: Path, count: int) -> dict[str, Any]:
    """Merge it in this process, and say what that took."""
    from harness.merging.stage import merge

    imports = _peak_bytes()
    begin, cpu = time.monotonic(), time.process_time()
    summary = merge(problems(count), folder, folder / "out", reporter=SilentReporter())
    return {
        "seconds": time.monotonic() - begin,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": _peak_bytes(),
        "imports_bytes": imports,
        "kept": summary.kept,
        "pairs": summary.pairs,
    }


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(folder: Path, count: int) -> Merged:
    shutil.rmtree(folder, ignore_errors=True)
    # spawned, not forked: a forked child's peak begins at its parent's
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        pool.apply(make, (folder, count))
        bytes_in = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
        found = pool.apply(merge_once, (folder, count))
    shutil.rmtree(folder)
    return Merged(samples=count, bytes_in=bytes_in, **found)


def tables(results: Sequence[Merged]) -> list[Table]:
    rows = [
        [
            f"{one.samples:,}",
            f"{one.kept['problems']:,}",
            number(one.bytes_in / 1e6, 0),
            number(one.seconds, 1),
            number(one.samples / one.seconds, 0),
            number(1e3 * one.cpu_seconds / one.samples, 3),
            number(one.peak_bytes / 1e6, 0),
            number(one.imports_bytes / 1e6, 0),
            f"{one.pairs['qvs']:,} + {one.pairs['pvf']:,}",
        ]
        for one in results
    ]
    columns = (
        "samples", "problems", "MB read", "seconds", "samples/s ↑", "CPU ms a sample ↓", "peak memory, MB ↓",
        "of it for imports", "pairs qvs + pvf",
    )  # fmt: skip
    note = (
        f"{PER_PROBLEM} samples a problem, {PASSING} passing and {FAILING} failing distinct solutions, "
        f"{len(ROUNDS)} rounds measured. One run of each size. Aim: 1,000,000 samples in at most 1,000 MB."
    )
    return [Table("Merging generated samples", columns, rows, note)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.merging", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK_SIZES} samples")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/merging.json"), help="JSON; tables beside it")
    options = parser.parse_args(arguments)
    sizes = QUICK_SIZES if options.quick else SIZES
    results: list[Merged] = []
    with ConsoleReporter().task("merge", len(sizes), unit="sizes") as task:
        for count in sizes:
            results.append(measure(options.out.parent / "merging-rows", count))
            task.advance()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"schema": 1, "results": [asdict(one) for one in results]}, indent=1) + "\n")
    options.out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables(results)))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in tables(results):
        show(table, console)
    failed = [one for one in results if one.peak_bytes > MOST_BYTES]
    for one in failed:
        console.print(f"FAILED: {one.samples:,} samples took {one.peak_bytes / 1e6:,.0f} MB")
    console.print(f"{options.out} and {options.out.with_suffix('.md')}", markup=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
