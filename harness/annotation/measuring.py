"""Time the passing solutions: rounds of interleaved blocks until every pair is decided or the rounds are used up.

A block stays on one core. The problems of a core take turns, one block each, so that a problem's rounds lie apart in
time and a spell of bad weather on the machine spoils one round of many problems rather than all rounds of one. What is
decided is confirmed on another core where there is one. Problems are made when their turn comes and forgotten when they
are done.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Protocol

from harness.annotation.executing import job_for
from harness.annotation.settings import AnnotationSettings
from harness.annotation.turns import Turns
from harness.fingerprint import host_fingerprint
from harness.progress import Reporter
from harness.records import ExecutionRow, MeasurementBlock, Problem, Sample, SolutionTiming, TimingInputs
from harness.row_index import TaskIndex
from harness.store import AppendFile
from harness.threads import merged
from harness.timing.decisions import MEMOISES
from harness.timing.rounds import Step, next_step
from harness.timing.schedule import block_order, contaminated, current_blocks, hash_seed, set_digest
from sandbox import Block, BlockTiming, Sandbox, TimedSolution, Timing, Verdict, timing_cores

CALIBRATION_BLOCKS = 4  # reference-only blocks per core before the first real one
RECENT_REFERENCES = 40  # whose median is the gate's: the weather of the last minutes, not of hours ago
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

    @property
    def first_passes_matter(self) -> bool:
        """In the first block they show who memoises; later on nothing but the pairs of such a solution needs them."""
        clean = [block for block in self.blocks if not block.contaminated]
        return not clean or any(MEMOISES in timing.flags for block in self.blocks for timing in block.solutions)

    def next_step(self, settings: AnnotationSettings, *, hurry: bool) -> Step | None:
        if self.broken >= MAX_BROKEN or (hurry and not self.blocks):
            return None
        return next_step(self.blocks, self.completions, settings.decision, hurry=hurry, tries=settings.tries)

    def resume(self, earlier: Iterable[MeasurementBlock], host: str, settings: AnnotationSettings) -> None:
        """Count earlier blocks of the same solutions: those that finished the problem, on whatever host; else only
        those of this host, because times of two are never compared."""
        digest = set_digest(self.completions)
        same = [block for block in earlier if block.of == digest]
        self.blocks = current_blocks(same)
        if self.blocks and self.blocks[-1].host != host and self.next_step(settings, hurry=False) is not None:
            self.blocks = [block for block in same if block.host == host]

    def block(self, step: Step, settings: AnnotationSettings) -> Block:
        loops = self.loops
        return Block(
            block_id=f"{self.problem.task_id}:{step.round}",
            solutions=tuple(
                TimedSolution(one, job_for(self.problem, self.completions[one]), loops.get(one))
                for one in block_order(step.solution_ids, step.round, settings.seed)
            ),
            hash_seed=hash_seed(settings.seed, step.round),
            settings=settings.timing if self.first_passes_matter else replace(settings.timing, first_passes=0),
        )

    def add(self, step: Step, timing: BlockTiming, references: Sequence[int], seconds: float) -> MeasurementBlock:
        block = MeasurementBlock(
            task_id=self.problem.task_id,
            round=step.round,
            core=timing.core,
            hash_seed=timing.hash_seed,
            reference_ns=timing.reference_ns,
            contaminated=contaminated(*timing.reference_ns, median(references)),
            solutions=[solution_timing(one) for one in timing.timings],
            of=set_digest(self.completions),
            seconds=round(seconds, 4),
            host=host_fingerprint(),
        )
        self.blocks.append(block)
        return block


def passing_solutions(
    problems: Mapping[str, Problem],
    samples: Sequence[Sample],
    executions: Mapping[tuple[str, str, int], ExecutionRow],
    settings: AnnotationSettings,
) -> list[ProblemState]:
    """The problems worth timing, each with its distinct passing solutions, in the order of their first samples."""
    by_task: dict[str, list[Sample]] = {}
    for sample in samples:
        by_task.setdefault(sample.task_id, []).append(sample)
    found = (
        passing_of(problems[task_id], own, executions, settings)
        for task_id, own in by_task.items()
        if task_id in problems
    )
    return [state for state in found if state is not None]


def passing_of(
    problem: Problem,
    samples: Iterable[Sample],
    executions: Mapping[tuple[str, str, int], ExecutionRow],
    settings: AnnotationSettings,
) -> ProblemState | None:
    """The problem with its distinct passing solutions; None where it is not worth timing."""
    passing: dict[str, str] = {}
    failing: set[str] = set()
    for sample in samples:
        row = executions.get(sample.key)
        if row is None or row.verdict == Verdict.INTERNAL:
            continue
        if row.verdict == Verdict.PASSED:
            passing.setdefault(row.solution_id, sample.completion)
        else:
            failing.add(row.solution_id)
    if not passing or len(passing) < settings.min_passing or len(failing) < settings.min_failing:
        return None
    return ProblemState(timed_problem(problem, settings.timing_inputs), passing)


def timed_problem(problem: Problem, inputs: TimingInputs) -> Problem:
    """The problem with the test whose calls are timed in place of its own."""
    if inputs is TimingInputs.PLUS and problem.held_out is not None:
        return replace(problem, test=problem.held_out)
    return problem


class Problems(Protocol):
    """Problems to time, which may be made anew whenever they are asked for."""

    @property
    def task_ids(self) -> Sequence[str]: ...

    def __iter__(self) -> Iterator[ProblemState]: ...


def measure(
    states: Sequence[ProblemState] | Problems,
    path: Path,
    sandbox: Sandbox,
    settings: AnnotationSettings,
    reporter: Reporter,
) -> None:
    """Measure until every problem is done, appending one row per block. Finished blocks of an earlier run count."""
    task_ids = [state.problem.task_id for state in states] if isinstance(states, Sequence) else states.task_ids
    cores = settings.timing_cores or tuple(timing_cores(sandbox.cores))
    tally = _Tally(max(1, settings.decision.min_rounds))
    earlier = TaskIndex(path, MeasurementBlock)
    done = sum(min(earlier.count(task_id), tally.planned_rounds) for task_id in task_ids)
    planned = tally.planned_rounds * len(task_ids)

    def resumed() -> Iterator[ProblemState]:
        for state in states:
            state.resume(earlier.rows(state.problem.task_id), host_fingerprint(), settings)
            yield state

    with AppendFile(path) as output, reporter.task("timing", planned, done=done, unit="blocks") as task:
        for block in measured_blocks(resumed(), cores, sandbox, settings, reporter.warn):
            output.append(block)
            task.advance(tally.add(block), note=tally.note)


@dataclass(slots=True)
class _Tally:
    """The first rounds are planned; what comes on top is told as it comes."""

    planned_rounds: int
    close: int = 0
    confirming: int = 0
    disturbed: int = 0

    def add(self, block: MeasurementBlock) -> int:
        """1 for a planned block."""
        self.disturbed += block.contaminated
        if block.round < self.planned_rounds:
            return 1
        if Step(block.round, ()).confirms:
            self.confirming += 1
        else:
            self.close += 1
        return 0

    @property
    def note(self) -> str:
        counts = {"for close pairs": self.close, "to confirm": self.confirming, "disturbed": self.disturbed}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def measured_blocks(
    states: Iterable[ProblemState],
    cores: Sequence[int],
    sandbox: Sandbox,
    settings: AnnotationSettings,
    warn: Callable[[str], None],
) -> Iterator[MeasurementBlock]:
    """Finished blocks of all cores as they become ready: one thread per core, and one in which `states` is read."""
    for _, block in timing_events(states, cores, sandbox, settings, warn):
        if block is not None:
            yield block


def timing_events(
    states: Iterable[ProblemState | None],
    cores: Sequence[int],
    sandbox: Sandbox,
    settings: AnnotationSettings,
    warn: Callable[[str], None],
) -> Iterator[tuple[ProblemState, MeasurementBlock | None]]:
    """Every block as in `measured_blocks`, with its problem; and None, once the problem is done.

    states: None among them means that there is none at present (harness.annotation.turns).
    """
    turns = Turns[ProblemState](cores)
    deadline = time.monotonic() + (settings.timing_seconds or float("inf"))
    sources = {f"timing-{core}": _on_core(core, turns, sandbox, settings, warn, deadline) for core in cores}
    left_out = 0
    for event in merged({"problems": _dealing(turns, states), **sources}, turns.stop):
        state, block = event
        left_out += block is None and not state.blocks
        yield event
    if left_out and time.monotonic() > deadline:
        warn(f"the time for timing ({settings.timing_seconds:.0f} s) is used up: {left_out} problems were not timed")


def _dealing(
    turns: Turns[ProblemState], states: Iterable[ProblemState | None]
) -> Iterator[tuple[ProblemState, MeasurementBlock | None]]:
    turns.fill(states)
    yield from ()


def _on_core(
    core: int,
    turns: Turns[ProblemState],
    sandbox: Sandbox,
    settings: AnnotationSettings,
    warn: Callable[[str], None],
    deadline: float,
) -> Iterator[tuple[ProblemState, MeasurementBlock | None]]:
    """One core's problems in turn, a block each, until all are done."""
    references: deque[int] = deque(maxlen=RECENT_REFERENCES)
    while state := turns.take(core):
        if not references:
            for number in range(CALIBRATION_BLOCKS):
                empty = Block(f"calibration:{number}", (), number + 1, settings.timing)
                references.extend(sandbox.measure(empty, core=core).reference_ns)
        step = state.next_step(settings, hurry=time.monotonic() > deadline)
        if step is None:
            turns.done(state)
            if state.broken >= MAX_BROKEN:
                warn(f"{state.problem.task_id}: given up after {state.broken} blocks that came to nothing")
            yield state, None
            continue
        if step.confirms and turns.move(core, state):
            continue
        began = time.monotonic()
        timing = sandbox.measure(state.block(step, settings), core=core)
        if all(timing.reference_ns):
            references.extend(timing.reference_ns)
            yield state, state.add(step, timing, references, time.monotonic() - began)
        else:
            state.broken += 1
        turns.back(core, state)


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
