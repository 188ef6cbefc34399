"""The stages as `bench-scale` runs them: the project's own on generated samples, a stub in the sandbox's place."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from harness.progress import Reporter, SilentReporter
from harness.records import ExecutionRow, MeasurementBlock, SolutionTiming
from harness.timing.schedule import set_digest
from sandbox import Block, BlockTiming, Execution, Integrity, Job, Sandbox, Termination, Timing, Verdict
from tests.benchmarks.merging import ROUNDS, problems, sample_rows

CORES = (0, 1)
PROBLEMS_AN_ANSWER = 4  # whose rows a host sends at a time: it makes some thousands of rows a second
PASSING_SHARE = 12 / 52  # of distinct programs, as in bench-merge
_PASSED = Execution(Verdict.PASSED, Integrity.STRONG, Termination.COMPLETED, cpu_ns=2_000_000, wall_ns=3_000_000)
_WRONG = replace(_PASSED, verdict=Verdict.WRONG, message="AssertionError: expected 12, got 15")


def generate(folder: Path, samples: int) -> None:
    """The samples as a file to import: {"task_id", "completion"} a line."""
    with (folder / "made.jsonl").open("w") as stream:
        for row in sample_rows(problems(samples)):
            stream.write(json.dumps({"task_id": row.task_id, "completion": row.completion}) + "\n")


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class StubSandbox:
    """Answers at once: a program passes or fails, and is quick or slow, by a digest of its text."""

    cores = CORES

    def run_many(self, jobs: Iterable[Job]) -> Iterator[Execution]:
        for job in jobs:
            yield _PASSED if _fraction(job.program) < PASSING_SHARE else _WRONG

    def measure(self, block: Block, *, core: int) -> BlockTiming:
        timings = tuple(
            Timing(one.solution_id, _PASSED, 1_000, *[self._times(one.job.program, block)] * 2, first_ns=900, calls=9)
            for one in block.solutions
        )
        return BlockTiming(block.block_id, core, block.hash_seed, (100_000, 100_000), timings)

    @staticmethod
    def _times(program: str, block: Block) -> tuple[int, ...]:
        """300 to 1,200 ns a pass, and 2% of noise that differs from block to block."""
        true = 1_000 * 300 * 4 ** (_fraction(program) / PASSING_SHARE)
        return tuple(int(true * (1 + 0.02 * _fraction(f"{block.block_id}{number}{program}"))) for number in range(3))


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


class StubEngine:
    """An annotation's engine whose crew works with the stub."""

    @contextmanager
    def crew(self, folder: Path, settings: Any, reporter: Reporter) -> Iterator[StubEngine]:
        yield self

    warnings: Sequence[Mapping[str, str]] = ()

    def annotate(self, work: Any) -> tuple[Counter[str], Any]:
        from harness.annotation.executing import execute
        from harness.annotation.judged import JudgedProblems
        from harness.annotation.measuring import measure
        from harness.annotation.stage import EXECUTIONS, MEASUREMENTS

        stub = cast(Sandbox, StubSandbox())
        settings = replace(work.settings, timing_cores=CORES)
        total, executions = work.samples.count(), work.folder / EXECUTIONS
        verdicts = execute(work.problems, work.samples, total, executions, stub, work.reporter)
        timed = JudgedProblems(work.problems, work.samples, executions, settings)
        measure(timed, work.folder / MEASUREMENTS, stub, settings, work.reporter)
        return verdicts, timed


class StubHost:
    """A node's part of an annotation (harness.cluster.host.Host) that has the rows of every problem ready at once."""

    def __init__(self, slots: int, settings: Any) -> None:
        self._todo: deque[Any] = deque()

    def open(self) -> Any:
        from harness.cluster.host import HostFacts

        return HostFacts("stub", "stub", CORES, "stub", "stub", None, ())

    def add(self, works: Sequence[Any]) -> None:
        self._todo.extend(works)

    def events(self, seconds: float) -> list[Any]:
        from harness.cluster.host import Event

        found: list[Any] = []
        for _ in range(min(PROBLEMS_AN_ANSWER, len(self._todo))):
            work = self._todo.popleft()
            found += [Event(work.problem.task_id, row) for row in _rows(work)] + [Event(work.problem.task_id)]
        if not found:
            time.sleep(0.01)
        return found

    def close(self) -> None:
        self._todo.clear()


def _rows(work: Any) -> Iterator[ExecutionRow | MeasurementBlock]:
    passing: dict[str, str] = {}
    for sample in work.samples:
        digest = hashlib.blake2b(sample.completion.encode(), digest_size=8).hexdigest()
        passed = _fraction(work.problem.prompt + sample.completion) < PASSING_SHARE
        if passed:
            passing.setdefault(digest, sample.completion)
        of = _PASSED if passed else _WRONG
        yield ExecutionRow(
            sample.task_id, sample.sample_id, sample.model, digest, of.verdict, of.integrity, "", of.termination,
            of.message, of.cpu_ns, of.wall_ns, 12_000_000, 0,
        )  # fmt: skip
    for number in ROUNDS if len(passing) >= 2 else ():
        cpu = [900_000 + number, 900_100, 900_200]
        timings = [SolutionTiming(one, 1_000, cpu, cpu, 900, 0, 9, "same calls") for one in passing]
        reference = (100_000, 100_000)
        yield MeasurementBlock(
            work.problem.task_id, number, 1, 7, reference, False, timings, set_digest(passing), 0.2, "stub"
        )


def import_stage(folder: Path, samples: int) -> list[Path]:
    from harness.exchange.importing import ImportRequest, import_files
    from harness.exchange.shapes import Shape

    files, known = [folder / "made.jsonl"], {"train": problems(samples)}
    import_files(ImportRequest(files, Shape.OUTPUTS, known, lambda _: folder, "made"), SilentReporter())
    return [folder / "samples.jsonl"]


def annotate_stage(folder: Path, samples: int) -> list[Path]:
    from harness.annotation.settings import AnnotationSettings
    from harness.annotation.stage import annotate

    settings = AnnotationSettings()
    annotate(problems(samples), folder, settings=settings, reporter=SilentReporter(), engine=StubEngine())
    return [folder / "executions.jsonl", folder / "measurements.jsonl"]


def annotate_on_ray_stage(folder: Path, samples: int) -> list[Path]:
    """The driver of a cluster: real Ray, one node, hosts that are stubs. Judging and timing cost the driver nothing."""
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    import ray

    from harness.annotation.settings import AnnotationSettings
    from harness.annotation.stage import annotate
    from harness.cluster import annotating

    options = {"include_dashboard": False, "log_to_driver": False, "object_store_memory": 100_000_000}
    ray.init(address="local", num_cpus=1, resources={annotating.SLOT: len(CORES)}, **options)
    with patch.object(annotating, "Host", StubHost):
        settings, known = AnnotationSettings(), problems(samples)
        annotate(known, folder, settings=settings, reporter=SilentReporter(), engine=annotating.OnRay())
    return [folder / "executions.jsonl", folder / "measurements.jsonl"]


def merge_stage(folder: Path, samples: int) -> list[Path]:
    from harness.merging.stage import merge

    merge(problems(samples), folder, folder / "out", reporter=SilentReporter())
    return [folder / "out" / "merged.jsonl"]


Stages = Mapping[str, Callable[[Path, int], list[Path]]]
DRIVER: Stages = {
    "import": import_stage,
    "annotate, driver of a Ray cluster": annotate_on_ray_stage,
    "merge": merge_stage,
}
MACHINE: Stages = {"import": import_stage, "annotate on one machine": annotate_stage}
