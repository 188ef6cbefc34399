"""A cluster that annotates, simulated from measured latencies. Pure, but for reading the latencies."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from harness.records import ExecutionRow, MeasurementBlock
from harness.store import read_rows

SAMPLES_A_PROBLEM = 100
MOST_RUNS = 2_000  # kept, evenly spaced
START_SECONDS = 20.0  # of a node: its actor, its sandbox, its first containers
HANDOVER_SECONDS = 0.005  # a problem to a core, its rows back: messages within a data centre


@dataclass(frozen=True, slots=True)
class Latencies:
    """As measured in the real sandbox, in seconds on one core.

    judged: of a run, by the wall clock. timed: of all blocks of one problem, and blocks: how many those were; 0 for
    problems without anything to time. runs, problems: how many were measured (of runs some may not be kept).
    """

    source: str
    runs: int
    problems: int
    judged: list[float]
    timed: list[float]
    blocks: list[int]


@dataclass(frozen=True, slots=True)
class Cluster:
    """One simulated annotation. efficiency: share of the cores' time at work. driver_busy: of the driver's core."""

    nodes: int
    cores: int
    hours: float
    efficiency: float
    driver_busy: float
    core_hours: float


def measured_latencies(folder: Path, source: str) -> Latencies:
    """Of an annotated folder."""
    runs = [row.wall_ns / 1e9 for row in read_rows(folder / "executions.jsonl", ExecutionRow)]
    tasks = list(dict.fromkeys(row.task_id for row in read_rows(folder / "executions.jsonl", ExecutionRow)))
    seconds: dict[str, float] = defaultdict(float)
    blocks: dict[str, int] = defaultdict(int)
    for block in read_rows(folder / "measurements.jsonl", MeasurementBlock):
        seconds[block.task_id] += block.seconds or 0.0
        blocks[block.task_id] += 1
    step = max(1, len(runs) // MOST_RUNS)
    return Latencies(
        source=source,
        runs=len(runs),
        problems=len(tasks),
        judged=[round(one, 5) for one in sorted(runs)[::step]],
        timed=[round(seconds[task], 3) for task in tasks],
        blocks=[blocks[task] for task in tasks],
    )


def simulate(
    latencies: Latencies, problems: int, nodes: int, cores_a_node: int, driver_seconds_a_row: float, *, seed: int
) -> Cluster:
    """Cores take problems as they become free; a core's rows wait until the driver, one core, has taken them in."""
    rng = random.Random(f"{seed}:{nodes}")
    cores = nodes * cores_a_node
    free = [(START_SECONDS, core) for core in range(cores)]
    heapq.heapify(free)
    driver, worked, served = 0.0, 0.0, 0.0
    last = START_SECONDS
    for _ in range(problems):
        begin, core = heapq.heappop(free)
        which = rng.randrange(len(latencies.timed))
        seconds = latencies.timed[which] + sum(rng.choices(latencies.judged, k=SAMPLES_A_PROBLEM))
        worked += seconds
        done = begin + HANDOVER_SECONDS + seconds
        service = driver_seconds_a_row * (SAMPLES_A_PROBLEM + latencies.blocks[which])
        served += service
        driver = max(driver, done) + service
        heapq.heappush(free, (done, core))
        last = max(last, driver)
    return Cluster(nodes, cores, last / 3600, worked / (last * cores), served / last, last * cores / 3600)
