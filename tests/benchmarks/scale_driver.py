"""The stages as `bench-scale` runs them: the project's own on generated samples, a stub in the sandbox's place."""

from __future__ import annotations

import hashlib
import json
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from harness.progress import Reporter, SilentReporter
from sandbox import Block, BlockTiming, Execution, Integrity, Job, Sandbox, Termination, Timing, Verdict
from tests.benchmarks.merging import problems, sample_rows

CORES = (0, 1)
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


def merge_stage(folder: Path, samples: int) -> list[Path]:
    from harness.merging.stage import merge

    merge(problems(samples), folder, folder / "out", reporter=SilentReporter())
    return [folder / "out" / "merged.jsonl"]


STAGES: Mapping[str, Callable[[Path, int], list[Path]]] = {
    "import": import_stage,
    "annotate": annotate_stage,
    "merge": merge_stage,
}
