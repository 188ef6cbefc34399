"""Many runs through one sandbox: does it slow down, does anything grow, is anything left? `make bench-soak`.

Exit code 1 if the quick runs' latency at the end is more than 10% above the beginning's, if anything grew (see
soak_figures.ALLOWED), if a verdict was not the one that its program must get, or if something is left at the end.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from harness.progress import ConsoleReporter
from sandbox import Execution, Job, Sandbox, SandboxError, allowed_cores
from sandbox.engine import connect
from tests.benchmarks.machine import machine_facts
from tests.benchmarks.meters import our_containers, stats
from tests.benchmarks.sandbox_peers import core_list
from tests.benchmarks.soak_figures import (
    MIB,
    MOST_LATENCY_GROWTH,
    Growth,
    Sample,
    growths,
    latency_ratio,
    percentile,
)
from tests.benchmarks.soak_mix import LIMITS, Kind, kind_of, kinds
from tests.benchmarks.tables import Table, markdown, number, show

EVERY = 1_000  # runs between samples, and in each of the windows that are compared
SHOWN_SAMPLES = 12


@dataclass
class Soak:
    """What one soak test saw."""

    asked: int = 0
    samples: list[Sample] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    wrong_verdicts: Counter[str] = field(default_factory=Counter)
    latency: float | None = None  # last window against first
    left: list[str] = field(default_factory=list)  # after the sandbox was closed
    seconds: float = 0.0

    @property
    def growths(self) -> list[Growth]:
        return growths(self.samples) if self.samples else []

    def failures(self, *, timing: bool = True) -> list[str]:
        """What is wrong, each in words. timing: latency too, which means nothing on a machine that others use."""
        found = [f"{one.what} grew: {one.first:,.0f} → {one.last:,.0f}" for one in self.growths if one.grew]
        if self.kinds.total() != self.asked:
            found.append(f"{self.kinds.total():,} results of {self.asked:,} runs")
        found += [f"{count} times: {what}" for what, count in self.wrong_verdicts.items()]
        found += [f"left behind: {what}" for what in self.left]
        if timing and self.latency is not None and self.latency > 1 + MOST_LATENCY_GROWTH:
            found.append(f"latency at the end is {self.latency:.2f} times that at the beginning")
        return found


@dataclass
class _Window:
    """What has come since the last sample."""

    runs: list[tuple[str, float]] = field(default_factory=list)  # quick ones: kind, ms
    begin: float = field(default_factory=time.perf_counter)


def soak(
    runs: int, cores: Sequence[int], seed: int, advance: Callable[[], None], recycle_after: int | None = None
) -> Soak:
    """Stream so many runs through one sandbox. The first EVERY runs warm up and are not sampled."""
    found, mix, expected = Soak(asked=runs), kinds(), deque[Kind]()
    begin = time.monotonic()
    owned = _owned()

    def jobs() -> Iterator[Job]:
        for which in range(runs):
            expected.append(kind_of(which, seed, mix))
            yield expected[-1].job

    options: dict[str, Any] = {} if recycle_after is None else {"recycle_after": recycle_after}
    first: list[tuple[str, float]] = []
    window = _Window()
    with Sandbox(cores=cores, limits=LIMITS, **options) as sandbox:
        for count, execution in enumerate(sandbox.run_many(jobs()), start=1):
            _note(found, window, expected.popleft(), execution)
            advance()
            if count % EVERY == 0:
                if count > EVERY:
                    found.samples.append(_sample(count, window))
                    first = first or window.runs
                    found.latency = latency_ratio(first, window.runs)
                window = _Window()
    found.left = [f"{after - before} more {what}" for what, before, after in _changes(owned) if after > before]
    found.seconds = time.monotonic() - begin
    return found


def _owned() -> dict[str, int]:
    """What this process has, by kind. Containers' connections sit in reference cycles: late to go, but no leak."""
    gc.collect()
    with closing(connect()) as client:
        containers = len(our_containers(client))
    process = psutil.Process()
    return {
        "containers": containers,
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
        "processes": len(process.children(recursive=True)),
    }


def _changes(before: dict[str, int]) -> list[tuple[str, int, int]]:
    """Once more if anything is there: a thread may be on its way out."""
    after = _owned()
    if any(after[what] > before[what] for what in before):
        time.sleep(1)
        after = _owned()
    return [(what, before[what], after[what]) for what in before]


def _note(found: Soak, window: _Window, kind: Kind, execution: Execution) -> None:
    found.kinds[kind.name] += 1
    if execution.verdict not in kind.verdicts:
        found.wrong_verdicts[f"{kind.name}: {execution.verdict} ({execution.message[:80]})"] += 1
    if kind.quick:
        window.runs.append((kind.name, execution.wall_ns / 1e6))


def _sample(runs: int, window: _Window) -> Sample:
    elapsed = time.perf_counter() - window.begin
    gc.collect()
    latencies = [latency for _, latency in window.runs]
    process = psutil.Process()
    with closing(connect()) as client:  # a new one each time, so that its connections are not counted
        containers = our_containers(client)
        facts = [found for found in (stats(client, container) for container in containers) if found]
    return Sample(
        runs=runs,
        per_second=EVERY / elapsed,
        latency_ms=percentile(latencies, 0.5),
        latency_p99_ms=percentile(latencies, 0.99),
        rss_bytes=process.memory_info().rss,
        fds=process.num_fds(),
        threads=process.num_threads(),
        containers=len(containers),
        container_bytes=max((_memory(found) for found in facts), default=0),
        container_pids=max((int(found.get("pids_stats", {}).get("current", 0)) for found in facts), default=0),
        available_bytes=psutil.virtual_memory().available,
        load=os.getloadavg()[0],
    )


def _memory(facts: dict[str, Any]) -> int:
    """What `docker stats` shows: in use, without file pages that can be dropped at once."""
    memory = facts.get("memory_stats", {})
    detail = memory.get("stats", {})
    droppable = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    return int(memory.get("usage", 0)) - int(droppable)


# ---- what a person sees ----------------------------------------------------------------------------------------------


def soak_tables(found: Soak) -> list[Table]:
    step = max(1, -(-len(found.samples) // SHOWN_SAMPLES))
    shown = found.samples[::step]
    if found.samples and shown[-1] is not found.samples[-1]:
        shown.append(found.samples[-1])
    columns = (
        "runs", "runs/s", "median ms", "p99 ms", "host RSS MiB", "fds", "threads", "containers", "their MiB",
        "their processes", "free MiB", "load",
    )  # fmt: skip
    rows = [
        [
            f"{one.runs:,}",
            number(one.per_second, 0),
            number(one.latency_ms, 2),
            number(one.latency_p99_ms, 2),
            number(one.rss_bytes / MIB),
            str(one.fds),
            str(one.threads),
            str(one.containers),
            number(one.container_bytes / MIB),
            str(one.container_pids),
            number(one.available_bytes / MIB, 0),
            number(one.load),
        ]
        for one in shown
    ]
    ends = [
        [one.what, number(one.first, 0), number(one.last, 0), number(one.allowed, 0), "grew" if one.grew else "ok"]
        for one in found.growths
    ]
    if found.latency is not None:
        most = 1 + MOST_LATENCY_GROWTH
        verdict = "ok" if found.latency <= most else "grew"
        ends.append(["latency, last / first", "1.00", number(found.latency, 2), number(most, 2), verdict])
    note = f"Latency: execution.wall_ns of the quick runs in each {EVERY:,}. In containers: the largest of them."
    return [
        Table("Soak", columns, rows, note),
        Table("End against beginning", ("what", "first", "last", "allowed", ""), ends),
    ]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    made.add_argument("--runs", type=int, default=200_000, help="at least 3,000 (default 200,000)")
    made.add_argument("--cores", type=core_list, help="CPU numbers, as in 0,1 (default: all that this process may use)")
    made.add_argument("--seed", type=int, default=1, help="which runs come when (default 1)")
    made.add_argument(
        "--recycle-after",
        type=int,
        help="runs after which a container is replaced (default: the sandbox's; a great number shows leaks in it)",
    )
    made.add_argument("--out", type=Path, default=Path("runs/bench/soak.json"), help="JSON; tables beside it as .md")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.runs < 3 * EVERY:
        parser().error(f"--runs must be {3 * EVERY:,} or more: warm-up, first and last window")
    options.cores = options.cores or allowed_cores()
    reporter = ConsoleReporter()
    try:
        with reporter.task("soak", options.runs, unit="runs") as task:
            found = soak(options.runs, options.cores, options.seed, task.advance, options.recycle_after)
        client = connect()
        machine = machine_facts(client)
        client.close()
    except SandboxError as error:
        reporter.say(f"error: {error}")
        return 2
    failures, tables = found.failures(), soak_tables(found)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    content = {
        **vars(found),
        "samples": [asdict(one) for one in found.samples],
        "schema": 1,
        "machine": machine,
        "failures": failures,
        "runs": options.runs,
    }
    content |= {"cores": options.cores, "seed": options.seed, "growths": [asdict(one) for one in found.growths]}
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    options.out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in tables:
        show(table, console)
    for failure in failures:
        console.print(f"FAILED: {failure}", markup=False, soft_wrap=True)
    console.print(f"{options.out} and {options.out.with_suffix('.md')}; {found.seconds:.0f} s", markup=False)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
