"""One host's part of an annotation: problems in, rows out. Knows nothing of Ray, which calls it.

A host claims cores as any run does, and holds one sandbox on them. Problems are judged several at a time on all of its
cores; those worth timing then take turns on one core each, by the same rules as a local run.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.annotation.executing import execution_row, job_for
from harness.annotation.measuring import ProblemState, passing_of, timing_events
from harness.annotation.settings import AnnotationSettings
from harness.core_locks import claim, read_siblings
from harness.doctor.look import check_machine
from harness.fingerprint import host_fingerprint, processor_name
from harness.placement import Placement, place_slots, slots
from harness.records import ExecutionRow, MeasurementBlock, Problem, Sample
from sandbox import Sandbox, Verdict, allowed_cores

WAIT_SECONDS = 0.5  # for a problem to time, between looks whether there will be any


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the driver should know of a host. image: the sandbox image's tag, which names the sources it is made of."""

    fingerprint: str
    processor: str
    cores: tuple[int, ...]  # that time
    image: str
    image_id: str
    base: str | None
    warnings: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class ProblemWork:
    """A problem with its samples and all that is known of them already."""

    problem: Problem
    samples: tuple[Sample, ...]
    executions: tuple[ExecutionRow, ...] = ()
    blocks: tuple[MeasurementBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """A row of a problem, or that it is done (`row` None), or a warning for the person at the keyboard."""

    task_id: str
    row: ExecutionRow | MeasurementBlock | None = None
    warning: str = ""


class Host:
    """Call `open`, then `add` and `events` from any thread, then `close`. slots: physical cores to use at most."""

    def __init__(self, slots: int, settings: AnnotationSettings) -> None:
        self._slots, self._settings = slots, settings
        self._todo: queue.SimpleQueue[ProblemWork | None] = queue.SimpleQueue()
        self._timed: queue.SimpleQueue[ProblemState] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._told: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self._stack = ExitStack()
        self._threads: list[threading.Thread] = []

    def open(self) -> HostFacts:
        """Raises UserError for cores that another run has or a machine that is not fit, SandboxError without a sandbox.

        A host that could not be opened may be opened again.
        """
        with ExitStack() as stack:
            placement = stack.enter_context(claimed_slots(self._slots, self._warn))
            warnings = check_machine(Path(tempfile.gettempdir()), placement.judging[0], lambda _: None)
            sandbox = stack.enter_context(Sandbox(cores=placement.judging, limits=self._settings.limits))
            image = sandbox.image
            self._stack = stack.pop_all()
        for number in range(len(placement.judging) + 1):  # one more, for the end of a problem keeps few cores busy
            self._start(f"judging-{number}", lambda: self._judge(sandbox))
        self._start("timing", lambda: self._time(sandbox, placement))
        return HostFacts(
            fingerprint=host_fingerprint(),
            processor=processor_name(),
            cores=placement.timing,
            image=image.tag,
            image_id=image.id,
            base=image.base,
            warnings=tuple(warnings),
        )

    def add(self, works: Sequence[ProblemWork]) -> None:
        for work in works:
            self._todo.put(work)

    def events(self, seconds: float) -> list[Event]:
        """What happened since the last call, in order; waits so long for something to happen. Raises what broke."""
        found: list[Event] = []
        try:
            event = self._told.get(timeout=seconds)
            while True:
                if isinstance(event, BaseException):
                    raise event
                found.append(event)
                event = self._told.get_nowait()
        except queue.Empty:
            return found

    def close(self) -> None:
        """Let go of sandbox and cores. What is in work is left where it is."""
        for _ in self._threads:
            self._todo.put(None)
        self._closed.set()
        self._stack.close()  # whoever waits for the sandbox is told that it is closed
        for thread in self._threads:
            thread.join()

    def _start(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # handed to the driver by `events`
                self._told.put(error)

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))
        self._threads[-1].start()

    def _judge(self, sandbox: Sandbox) -> None:
        while work := self._todo.get():
            latest = {row.key: row for row in work.executions if row.verdict != Verdict.INTERNAL}
            left = [sample for sample in work.samples if sample.key not in latest]
            known = {work.problem.task_id: work.problem}
            jobs = (job_for(work.problem, sample.completion) for sample in left)
            for sample, execution in zip(left, sandbox.run_many(jobs), strict=True):
                row = latest[sample.key] = execution_row(sample, execution, known)
                self._told.put(Event(work.problem.task_id, row))
            state = passing_of(work.problem, work.samples, latest, self._settings)
            if state is None:
                self._told.put(Event(work.problem.task_id))
            else:
                state.resume(work.blocks, host_fingerprint(), self._settings)
                self._timed.put(state)

    def _time(self, sandbox: Sandbox, placement: Placement) -> None:
        for state, block in timing_events(self._states(), placement.timing, sandbox, self._settings, self._warn):
            self._told.put(Event(state.problem.task_id, block))

    def _states(self) -> Iterator[ProblemState | None]:
        """Problems to time as they are judged, until the host is closed; None while there is none."""
        while not self._closed.is_set():
            try:
                yield self._timed.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                yield None

    def _warn(self, text: str) -> None:
        self._told.put(Event("", warning=text))


@contextmanager
def claimed_slots(count: int, say: Callable[[str], None]) -> Iterator[Placement]:
    """So many free physical cores of those that this process may use, or as many as there are, held against other runs.

    Raises UserError where none is free.
    """
    siblings, cpus = read_siblings(), allowed_cores()
    with claim(slots(cpus, siblings), most=count, siblings=siblings, say=say, warn=say) as ours:
        yield place_slots(cpus, siblings, ours)
