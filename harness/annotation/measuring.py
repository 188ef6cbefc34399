"""Time the passing solutions: rounds of interleaved blocks until every pair is decided or the rounds are used up.

Each problem stays on one core. The problems of a core take turns, one block each, so that a problem's rounds lie apart
in time and a spell of bad weather on the machine spoils one round of many problems rather than all rounds of one.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from harness.annotation.executing import job_for
from harness.annotation.settings import AnnotationSettings
from harness.progress import Reporter
from harness.records import ExecutionRow, MeasurementBlock, Problem, Sample, SolutionTiming
from harness.store import AppendFile, read_rows
from harness.timing.decisions import next_round
from harness.timing.schedule import block_order, contaminated, hash_seed
from sandbox import Block, BlockTiming, Sandbox, TimedSolution, Timing, Verdict

CALIBRATION_BLOCKS = 4  # reference-only blocks per core before the first real one
MAX_BROKEN = 3  # blocks of a problem that came to nothing before it is given up


@dataclass(slots=True)
class ProblemState:
    """What is known of one problem while it is being measured."""

    problem: Problem
    completions: dict[str, str]  # solution_id → the first sample's completion that has it
    blocks: list[MeasurementBlock] = field(default_factory=list)
    broken: int = 0

    @property
    def loops(self) -> dict[str, int]:
        """Passes per sample, found in a solution's first block and frozen from then on."""
        return {timing.solution_id: timing.loops for block in self.blocks for timing in block.solutions if timing.loops}

    def next_block(self, settings: AnnotationSettings) -> Block | None:
        number = next_round(self.blocks, settings.decision)
        if number is None or self.broken >= MAX_BROKEN:
            return None
        loops = self.loops
        return Block(
            block_id=f"{self.problem.task_id}:{number}",
            solutions=tuple(
                TimedSolution(one, job_for(self.problem, self.completions[one]), loops.get(one))
                for one in block_order(list(self.completions), number, settings.seed)
            ),
            hash_seed=hash_seed(settings.seed, self.problem.task_id, number),
            settings=settings.timing,
        )


def passing_solutions(
    problems: Mapping[str, Problem],
    samples: Sequence[Sample],
    executions: Mapping[tuple[str, str, int], ExecutionRow],
    settings: AnnotationSettings,
) -> list[ProblemState]:
    """The problems worth timing, each with its distinct passing solutions."""
    passing: dict[str, dict[str, str]] = {}
    failing: dict[str, set[str]] = {}
    for sample in samples:
        row = executions.get(sample.key)
        if row is None or row.verdict == Verdict.INTERNAL:
            continue
        if row.verdict == Verdict.PASSED:
            passing.setdefault(row.task_id, {}).setdefault(row.solution_id, sample.completion)
        else:
            failing.setdefault(row.task_id, set()).add(row.solution_id)
    return [
        ProblemState(problems[task_id], completions)
        for task_id, completions in passing.items()
        if len(completions) >= settings.min_passing and len(failing.get(task_id, ())) >= settings.min_failing
    ]


def measure(
    states: Sequence[ProblemState], path: Path, sandbox: Sandbox, settings: AnnotationSettings, reporter: Reporter
) -> None:
    """Measure until every problem is done, appending one row per block. Finished blocks of an earlier run count."""
    _add_finished_blocks(states, path)
    cores = settings.timing_cores or tuple(sandbox.cores[1:]) or tuple(sandbox.cores)
    planned = max(1, settings.decision.min_rounds) * len(states)
    done = sum(min(len(state.blocks), settings.decision.min_rounds) for state in states)
    with AppendFile(path) as output, reporter.task("timing", planned, done=done, unit="blocks") as task:
        extra = 0
        for block in _run_cores(states, cores, sandbox, settings, reporter):
            output.append(block)
            if block.round < settings.decision.min_rounds:
                task.advance(note=f"{extra} extra rounds for close pairs" if extra else "")
            else:
                extra += 1
                task.advance(0, note=f"{extra} extra rounds for close pairs")


def _add_finished_blocks(states: Sequence[ProblemState], path: Path) -> None:
    by_task = {state.problem.task_id: state for state in states}
    for block in read_rows(path, MeasurementBlock):
        state = by_task.get(block.task_id)
        if state is not None and {timing.solution_id for timing in block.solutions} == set(state.completions):
            state.blocks.append(block)


def _run_cores(
    states: Sequence[ProblemState],
    cores: Sequence[int],
    sandbox: Sandbox,
    settings: AnnotationSettings,
    reporter: Reporter,
) -> Iterator[MeasurementBlock]:
    """Finished blocks of all cores as they become ready: one thread per core, each with its share of the problems."""
    finished: queue.SimpleQueue[MeasurementBlock | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def work(core: int, share: Sequence[ProblemState]) -> None:
        try:
            for block in _run_core(core, share, sandbox, settings, reporter.warn):
                finished.put(block)
                if stop.is_set():
                    break
            finished.put(None)
        except BaseException as error:  # handed to the thread that waits
            finished.put(error)

    threads = [
        threading.Thread(target=work, args=(core, list(states[index :: len(cores)])), name=f"timing-{core}")
        for index, core in enumerate(cores)
    ]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            item = finished.get()
            if isinstance(item, MeasurementBlock):
                yield item
            elif item is None:
                left -= 1
            else:
                raise item
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _run_core(
    core: int,
    states: Sequence[ProblemState],
    sandbox: Sandbox,
    settings: AnnotationSettings,
    warn: Callable[[str], None],
) -> Iterator[MeasurementBlock]:
    """One core's problems in turn, a block each, until all are done."""
    if not states:
        return
    references: list[int] = []
    for number in range(CALIBRATION_BLOCKS):
        empty = Block(f"calibration:{number}", (), number + 1, settings.timing)
        references += sandbox.measure(empty, core=core).reference_ns
    turn = deque(states)
    while turn:
        state = turn.popleft()
        block = state.next_block(settings)
        if block is None:
            if state.broken >= MAX_BROKEN:
                warn(f"{state.problem.task_id}: given up after {state.broken} blocks that came to nothing")
            continue
        timing = sandbox.measure(block, core=core)
        turn.append(state)
        if not all(timing.reference_ns):
            state.broken += 1
            continue
        references += timing.reference_ns
        row = measurement_block(state.problem.task_id, timing, median(references))
        state.blocks.append(row)
        yield row


def measurement_block(task_id: str, timing: BlockTiming, median_reference: float) -> MeasurementBlock:
    return MeasurementBlock(
        task_id=task_id,
        round=int(timing.block_id.rpartition(":")[2]),
        core=timing.core,
        hash_seed=timing.hash_seed,
        reference_ns=timing.reference_ns,
        contaminated=contaminated(*timing.reference_ns, median_reference),
        solutions=[solution_timing(one) for one in timing.timings],
    )


def solution_timing(timing: Timing) -> SolutionTiming:
    failed = [] if timing.execution.passed else [f"failed:{timing.execution.verdict}"]
    return SolutionTiming(
        solution_id=timing.solution_id,
        loops=timing.loops,
        cpu_ns=list(timing.cpu_ns),
        wall_ns=list(timing.wall_ns),
        first_ns=timing.first_ns,
        redone=timing.redone,
        calls=timing.calls,
        calls_digest=timing.calls_digest,
        flags=[*timing.flags, *failed],
    )
