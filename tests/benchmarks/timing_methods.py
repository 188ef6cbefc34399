"""Each timing method on the same solutions: ours, the published one, the naive one, and pyperf as the instrument."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import docker

from harness.annotation.measuring import ProblemState, measured_blocks
from harness.annotation.settings import AnnotationSettings
from harness.records import LegacyOutcome, MeasurementBlock, Problem, ProblemLabels
from harness.timing.decisions import CONFIRM_FROM, decide
from harness.timing.legacy import LegacyRun, measure_legacy
from harness.timing.solution_id import solution_id
from sandbox import Job, Sandbox
from tests.benchmarks.box import BoxSpec, drive
from tests.benchmarks.meters import ContainerCpu
from tests.benchmarks.timing_figures import Key
from tests.benchmarks.timing_variants import variants
from tests.benchmarks.work import Work, spread

VARIANT = "~"  # solution_id~number: the same program in other words


@dataclass(frozen=True, slots=True)
class Corpus:
    """The solutions to be timed. groups: task → ids of identical programs, the original among them."""

    works: Mapping[Key, Work]
    programs: Mapping[Key, str]
    groups: Mapping[str, tuple[str, ...]]

    @property
    def originals(self) -> list[Key]:
        return [key for key in self.works if VARIANT not in key[1]]

    def job(self, key: Key) -> Job:
        work = self.works[key]
        return Job(self.programs[key], work.test, work.entry_point, work.prompt)

    def states(self) -> list[ProblemState]:
        """As the annotation has them; the whole program stands for the completion, under an empty prompt."""
        by_task: dict[str, dict[str, str]] = {}
        for (task, one), program in self.programs.items():
            by_task.setdefault(task, {})[one] = program
        found = []
        for task, programs in by_task.items():
            work = next(work for key, work in self.works.items() if key[0] == task)
            problem = Problem(task, "", work.test, work.entry_point, "validation", "released")
            found.append(ProblemState(problem, programs))
        return found


def corpus(works: Sequence[Work], problems: int, most: int, copies: int, seed: int) -> Corpus:
    """Distinct passing solutions of problems that have two or more, at most so many of each; of one of them copies."""
    by_task: dict[str, dict[str, Work]] = {}
    for work in works:
        if work.label and work.cases:
            by_task.setdefault(work.task_id, {}).setdefault(solution_id(work.program, work.entry_point), work)
    several = {task: own for task, own in by_task.items() if len(own) >= 2}
    chosen: dict[Key, Work] = {}
    programs: dict[Key, str] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for task in spread(sorted(several), problems):
        own = spread(list(several[task].items()), most)
        for one, work in own:
            chosen[task, one], programs[task, one] = work, work.program
        one, work = own[len(own) // 2]
        for number, text in enumerate(variants(work.program, work.entry_point, copies, seed), start=1):
            key = (task, f"{one}{VARIANT}{number}")
            chosen[key], programs[key] = work, text
            groups[task] = (*groups.get(task, (one,)), key[1])
    return Corpus(chosen, programs, groups)


@dataclass(slots=True)
class OwnRun:
    """One independent run of ours."""

    blocks: dict[str, list[MeasurementBlock]] = field(default_factory=dict)
    container_cpu_s: float = 0.0
    host_cpu_s: float = 0.0
    wall_s: float = 0.0

    def labels(self, settings: AnnotationSettings) -> list[ProblemLabels]:
        return [decide(blocks, settings.decision) for blocks in self.blocks.values()]

    def rows(self) -> list[MeasurementBlock]:
        return [block for blocks in self.blocks.values() for block in blocks]

    def naive(self) -> dict[Key, float]:
        """The mean of all wall times of one process: the first there was of each solution."""
        found: dict[Key, float] = {}
        for task, blocks in self.blocks.items():
            for timing in (timing for block in blocks for timing in block.solutions):
                if timing.wall_ns and (task, timing.solution_id) not in found:
                    found[task, timing.solution_id] = fmean(timing.wall_ns) / timing.loops
        return found

    def seconds(self, *, screening: bool) -> float:
        """Core-seconds of the first rounds that everybody gets, or of all blocks."""
        return sum(
            block.seconds
            for blocks in self.blocks.values()
            for number, block in enumerate(blocks)
            if not screening or (block.round < CONFIRM_FROM and number < 5)
        )


def run_ours(
    client: docker.DockerClient, states: Sequence[ProblemState], core: int, settings: AnnotationSettings,
    advance: Callable[[], Any],
) -> OwnRun:  # fmt: skip
    found = OwnRun()
    begin, host = time.monotonic(), time.process_time()
    with ContainerCpu(client) as cpu, Sandbox(cores=[core]) as sandbox:
        for block in measured_blocks(states, [core], sandbox, settings, lambda _: None):
            found.blocks.setdefault(block.task_id, []).append(block)
            if block.round < settings.decision.min_rounds:
                advance()
    found.container_cpu_s = cpu.seconds
    found.host_cpu_s, found.wall_s = time.process_time() - host, time.monotonic() - begin
    return found


@dataclass(slots=True)
class LegacyFigures:
    times: dict[Key, float]
    cpu_s: float  # of the processes that were measured, from outside
    measured: int  # passes with a figure
    passes: int


def run_legacy(runs: Sequence[LegacyRun], core: int, advance: Callable[[], Any]) -> LegacyFigures:
    """The mean over its passes of every solution that has a figure."""
    own: dict[Key, list[float]] = {}
    count, measured, spent = 0, 0, 0
    for row in measure_legacy([core], runs):
        count += 1
        spent += row.cpu_ns
        if row.outcome is LegacyOutcome.MEASURED and row.avg_ns is not None:
            own.setdefault((row.task_id, row.solution_id), []).append(row.avg_ns)
            measured += 1
        advance()
    times = {key: fmean(values) for key, values in own.items()}
    return LegacyFigures(times, spent / 1e9, measured, count)


def run_pyperf(
    client: docker.DockerClient, image: str, core: int, packages: Path, chosen: Corpus, keys: Sequence[Key],
    advance: Callable[[], Any],
) -> dict[Key, float]:  # fmt: skip
    """pyperf's median of each solution, in seconds a pass over its calls."""
    jobs = [
        {
            "key": number,
            "program": chosen.programs[key],
            "entry_point": chosen.works[key].entry_point,
            "calls": repr([list(case.arguments) for case in chosen.works[key].cases or ()]),
        }
        for number, key in enumerate(keys)
    ]
    found: dict[Key, float] = {}
    spec = BoxSpec(image, (core,))
    for record in drive(client, spec, "pyperf_driver.py", packages, jobs, seconds=20.0 * len(jobs) + 60):
        if "key" in record:
            advance()
            if record.get("values"):
                found[keys[record["key"]]] = median(record["values"])
    return found


@contextmanager
def busy_neighbour(core: int) -> Iterator[None]:
    """A process that spins on that core: it gets half of it."""
    code = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True:\n    sum(range(10_000))\n"
    hog = subprocess.Popen([sys.executable, "-c", code])  # our own text
    try:
        yield
    finally:
        hog.kill()
        hog.wait()
