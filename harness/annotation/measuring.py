"""Time the passing solutions: rounds of interleaved blocks until every pair is decided or the rounds are used up.

A block stays on one core. The problems of a core take turns, one block each, so that a problem's rounds lie apart in
time and a spell of bad weather on the machine spoils one round of many problems rather than all rounds of one. What is
decided is confirmed on another core where there is one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from harness.annotation.executing import job_for
from harness.annotation.settings import AnnotationSettings
from harness.progress import Reporter
from harness.records import ExecutionRow, MeasurementBlock, Problem, Sample, SolutionTiming, TimingInputs
from harness.store import AppendFile, read_rows
from harness.threads import merged
from harness.timing.decisions import MEMOISES
from harness.timing.rounds import Step, next_step
from harness.timing.schedule import block_order, contaminated, hash_seed, set_digest
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
        return next_step(self.blocks, self.completions, settings.decision, hurry=hurry)

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
        )
        self.blocks.append(block)
        return block


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
        ProblemState(timed_problem(problems[task_id], settings.timing_inputs), completions)
        for task_id, completions in passing.items()
        if len(completions) >= settings.min_passing and len(failing.get(task_id, ())) >= settings.min_failing
    ]


def timed_problem(problem: Problem, inputs: TimingInputs) -> Problem:
    """The problem with the test whose calls are timed in place of its own."""
    if inputs is TimingInputs.PLUS and problem.held_out is not None:
        return replace(problem, test=problem.held_out)
    return problem


def measure(
    states: Sequence[ProblemState], path: Path, sandbox: Sandbox, settings: AnnotationSettings, reporter: Reporter
) -> None:
    """Measure until every problem is done, appending one row per block. Finished blocks of an earlier run count."""
    _add_finished_blocks(states, path)
    cores = settings.timing_cores or tuple(timing_cores(sandbox.cores))
    tally = _Tally(max(1, settings.decision.min_rounds))
    planned = tally.planned_rounds * len(states)
    done = sum(min(len(state.blocks), tally.planned_rounds) for state in states)
    with AppendFile(path) as output, reporter.task("timing", planned, done=done, unit="blocks") as task:
        for block in measured_blocks(states, cores, sandbox, settings, reporter.warn):
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


def _add_finished_blocks(states: Sequence[ProblemState], path: Path) -> None:
    by_task = {state.problem.task_id: (state, set_digest(state.completions)) for state in states}
    for block in read_rows(path, MeasurementBlock):
        state, digest = by_task.get(block.task_id, (None, ""))
        if state is not None and block.of == digest:
            state.blocks.append(block)


class _Turns:
    """Which problem a core takes next. Screening stays on the core that a problem was dealt to; for confirmation it
    moves to the next core."""

    def __init__(self, states: Sequence[ProblemState], cores: Sequence[int]) -> None:
        self._cores = list(cores)
        self._lines = {core: deque(states[index :: len(cores)]) for index, core in enumerate(cores)}
        self._moved: set[int] = set()
        self._left = len(states)
        self._change = threading.Condition()

    def take(self, core: int) -> ProblemState | None:
        """The next problem of this core, waiting for one that may still move here; None: there is nothing left."""
        with self._change:
            while not self._lines[core] and self._left:
                self._change.wait()
            return self._lines[core].popleft() if self._left else None

    def back(self, core: int, state: ProblemState) -> None:
        with self._change:
            self._lines[core].append(state)
            self._change.notify_all()

    def move(self, core: int, state: ProblemState) -> bool:
        """Hand it to the next core, once; False where it is to stay."""
        if len(self._cores) < 2 or id(state) in self._moved:
            return False
        self._moved.add(id(state))
        self.back(self._cores[(self._cores.index(core) + 1) % len(self._cores)], state)
        return True

    def done(self) -> None:
        with self._change:
            self._left -= 1
            self._change.notify_all()

    def stop(self) -> None:
        with self._change:
            self._left = 0
            self._change.notify_all()


def measured_blocks(
    states: Sequence[ProblemState],
    cores: Sequence[int],
    sandbox: Sandbox,
    settings: AnnotationSettings,
    warn: Callable[[str], None],
) -> Iterator[MeasurementBlock]:
    """Finished blocks of all cores as they become ready: one thread per core."""
    turns = _Turns(states, cores)
    deadline = time.monotonic() + (settings.timing_seconds or float("inf"))
    sources = {f"timing-{core}": _on_core(core, turns, sandbox, settings, warn, deadline) for core in cores}
    yield from merged(sources, turns.stop)
    begun = sum(bool(state.blocks) for state in states)
    if begun < len(states) and time.monotonic() > deadline:
        left_out = len(states) - begun
        warn(f"the time for timing ({settings.timing_seconds:.0f} s) is used up: {left_out} problems were not timed")


def _on_core(
    core: int,
    turns: _Turns,
    sandbox: Sandbox,
    settings: AnnotationSettings,
    warn: Callable[[str], None],
    deadline: float,
) -> Iterator[MeasurementBlock]:
    """One core's problems in turn, a block each, until all are done."""
    references: deque[int] = deque(maxlen=RECENT_REFERENCES)
    while state := turns.take(core):
        if not references:
            for number in range(CALIBRATION_BLOCKS):
                empty = Block(f"calibration:{number}", (), number + 1, settings.timing)
                references.extend(sandbox.measure(empty, core=core).reference_ns)
        step = state.next_step(settings, hurry=time.monotonic() > deadline)
        if step is None:
            turns.done()
            if state.broken >= MAX_BROKEN:
                warn(f"{state.problem.task_id}: given up after {state.broken} blocks that came to nothing")
            continue
        if step.confirms and turns.move(core, state):
            continue
        began = time.monotonic()
        timing = sandbox.measure(state.block(step, settings), core=core)
        if all(timing.reference_ns):
            references.extend(timing.reference_ns)
            yield state.add(step, timing, references, time.monotonic() - began)
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
