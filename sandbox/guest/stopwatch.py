"""Times one candidate's repetitions from outside: the warden's clock around batches of passes (docs/adr/0002)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from . import wire
from .clocks import process_clock, run_delay
from .processes import Candidate

MAX_WAITED = 0.1  # of wall time: a solution that sleeps hides its run time from the CPU clock
# Cold caches make the first pass of anything dearer, by about a microsecond a call.
MEMOISED_EXCESS_NS = 4_000
MEMOISED_EXCESS_PER_CALL_NS = 1_000
# A process that was forked just now copies its pages as it goes; that is in the judged calls' time too.
JUDGED_COLD_NS, JUDGED_CALL_NS, JUDGED_BYTE_NS = 15_000_000, 200_000, 300

EMPTY_SAMPLES = 5
WARM_UP = 8  # part of a sample's passes that is run before it
MOST_LOOPS = 1 << 24  # a pass takes 60 ps then: no loop of Python's does

_now = time.monotonic_ns


class _Stat(NamedTuple):
    threads: int
    children_faults: int  # page faults of children that ended and were waited for: none lives without


def _stat(pid: int) -> _Stat:
    with open(f"/proc/{pid}/stat", "rb") as stream:
        fields = stream.read().rpartition(b")")[2].split()
    return _Stat(int(fields[17]), int(fields[8]))


class Sample(NamedTuple):
    """One timing sample, in ns. `gap`: wall time in which something else went on than the candidate's work or the
    hand-over; `waited`: the part of it in which the candidate was not even ready to run."""

    cpu: int
    wall: int
    gap: int
    waited: int


class Stopwatch:
    """Times one candidate's repetitions from outside: `start`, then `sample` as often as it is wanted, then `finish`.

    Whatever goes wrong in one of them ends the timing, and `finish` says what. budget_ns: wall time that may be spent
    waiting for the candidate in all. others: the live processes that the candidate started.
    """

    def __init__(
        self,
        candidate: Candidate,
        settings: dict[str, Any],
        budget_ns: int,
        report: dict[str, Any],
        others: Callable[[], list[int]],
    ) -> None:
        assert candidate.control is not None
        self._candidate, self._settings, self._left, self._others = candidate, settings, budget_ns, others
        self._results_digest = report["results_digest"]
        # What the judged calls took, less what it costs to take a call apart and to answer it.
        handling = JUDGED_CALL_NS * report["recorded"] + JUDGED_BYTE_NS * report["call_bytes"]
        self._judged_ns = report["judged_cpu_ns"] - handling - JUDGED_COLD_NS
        self._cold_ns = MEMOISED_EXCESS_NS + MEMOISED_EXCESS_PER_CALL_NS * report["recorded"]
        self._fd = candidate.control.fileno()
        self._clock = process_clock(candidate.pid)
        self._batch = self._most_threads = 1
        self._hand_over_cpu = self._hand_over_wall = 0
        self._loops = self._first = self._redone = 0
        self._samples: list[Sample] = []
        self._problem = ""

    def start(self, loops: int | None) -> None:
        """The first passes, and the number of passes to a sample (found by doubling if None)."""
        self._guarded(lambda: self._start(loops))

    def sample(self) -> None:
        """One sample, unless there are enough; repeated at once where something else ran."""
        if not self._problem and len(self._samples) < self._wanted:
            self._guarded(self._one_sample)

    def finish(self) -> dict[str, Any]:
        """What came of it: loops, times of the samples in ns, flags."""
        flags: list[str] = []
        if not self._problem:
            self._guarded(lambda: flags.extend(self._flags()))
        if self._problem:
            return {"flags": [self._problem]}
        cpu = [sample.cpu for sample in self._samples]
        wall = [sample.wall for sample in self._samples]
        found = {"loops": self._loops, "cpu_ns": cpu, "wall_ns": wall, "first_ns": self._first, "redone": self._redone}
        return found | {"flags": flags}

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, wire.FrameError, TimeoutError) as error:
            self._problem = f"not_timed: {error}"[:200]

    def _start(self, loops: int | None) -> None:
        self._await()
        frame = wire.frame_at_once(self._fd)
        if len(frame) != 8:
            raise wire.FrameError("no timing hello")
        self._batch = max(1, int.from_bytes(frame, "big"))
        empty = [self._sample(0) for _ in range(EMPTY_SAMPLES)]  # what the hand-over itself costs
        self._hand_over_cpu = min(sample.cpu for sample in empty)
        self._hand_over_wall = min(sample.wall for sample in empty)
        self._first = min((self._first_pass() for _ in range(self._settings["first_passes"])), default=0)
        self._loops = loops or self._calibrate(self._first)

    @property
    def _wanted(self) -> int:
        long = any(sample.cpu / self._loops > self._settings["long_pass_ns"] for sample in self._samples)
        return int(self._settings["long_samples" if long else "samples"])

    def _one_sample(self) -> None:
        """The candidate has been stopped for a while: what it had in the caches comes back in some passes that are not
        timed (a long pass makes up for it itself). Where something else ran, one more is taken while there may be."""
        if self._loops >= WARM_UP:
            self._sample(self._loops // WARM_UP)
        sample = self._sample(self._loops)
        if sample.gap > self._settings["max_gap"] * sample.wall and self._redone < self._settings["max_redo"]:
            self._redone += 1
            sample = self._sample(self._loops)
        self._most_threads = max(self._most_threads, _stat(self._candidate.pid).threads)
        self._samples.append(sample)

    def _calibrate(self, first: int) -> int:
        """Passes double until a sample lasts long enough."""
        loops, used = 1, first
        while used < self._settings["min_sample_ns"]:
            loops *= 2
            if loops > MOST_LOOPS:
                raise wire.FrameError("its passes take no time")
            used = self._sample(loops).cpu
        return loops

    def _flags(self) -> list[str]:
        first, later = self._first, min(sample.cpu for sample in self._samples) / self._loops
        wire.send_frame(self._fd, b"V")
        self._await()
        flags = self._helpers()
        if wire.frame_at_once(self._fd).decode("ascii", "replace") != self._results_digest:
            flags.append("results_differ")
        # The first pass of a fresh load shows what a program remembers; one that remembers across loads, or tampers
        # with the repetition, cannot change what the judged run has cost.
        if first > 3 * later and first - later > self._cold_ns:
            flags.append("memoises")
        if self._judged_ns > 3 * max(first, later):
            flags.append("judged_dearer")
        if min(sample.waited / max(sample.wall, 1) for sample in self._samples) > MAX_WAITED:
            flags.append("waits")
        return flags

    def _helpers(self) -> list[str]:
        """Flags for work that the process clock may not show: other threads, other processes, dead ones included."""
        flags = []
        facts = _stat(self._candidate.pid)
        if max(facts.threads, self._most_threads) > 1:
            flags.append("threads")
        if facts.children_faults or self._others():
            flags.append("children")
        return flags

    def _first_pass(self) -> int:
        """CPU time of one pass by a freshly loaded program: nothing is remembered from earlier calls."""
        wire.send_frame(self._fd, b"L")
        self._expect(b"R")
        return self._sample(1).cpu

    def _sample(self, passes: int) -> Sample:
        """One timing sample of `passes` passes, in batches whose arguments fit into memory. What handing a batch over
        costs the candidate is taken off its CPU time."""
        cpu = wall = delay = gap = 0
        while True:
            batch = min(passes, self._batch)
            wire.send_frame(self._fd, b"P" + batch.to_bytes(8, "big"))
            self._expect(b"R")
            delay -= self._run_delay()
            wall_before, cpu_before = _now(), time.clock_gettime_ns(self._clock)
            os.write(self._fd, b"G")
            self._expect(b"D")
            cpu += time.clock_gettime_ns(self._clock) - cpu_before - self._hand_over_cpu
            wall += _now() - wall_before
            gap -= self._hand_over_wall
            delay += self._run_delay()
            passes -= batch
            if passes <= 0:
                gap += wall - cpu
                return Sample(max(cpu, 1), wall, gap, gap - delay)

    def _run_delay(self) -> int:
        """How long candidate and warden have been ready to run while something else had the core (schedstat)."""
        return run_delay(self._candidate.pid) + run_delay(os.getpid())

    def _expect(self, answer: bytes) -> None:
        self._await()
        if os.read(self._fd, 1) != answer:
            raise wire.FrameError("the candidate does not keep to the timing protocol")

    def _await(self) -> None:
        began = _now()
        ready = self._left > 0 and wire.readable(self._fd, self._left // 1_000_000 + 1)
        self._left -= _now() - began
        if not ready:
            raise TimeoutError("over the time budget of one process")
