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
    """Times one candidate's repetitions from outside.

    others: the live processes that the candidate started.
    """

    def __init__(
        self,
        candidate: Candidate,
        settings: dict[str, Any],
        deadline: int,
        report: dict[str, Any],
        others: Callable[[], list[int]],
    ) -> None:
        assert candidate.control is not None
        self._candidate, self._settings, self._deadline, self._others = candidate, settings, deadline, others
        self._results_digest = report["results_digest"]
        # What the judged calls took, less what it costs to take a call apart and to answer it.
        handling = JUDGED_CALL_NS * report["recorded"] + JUDGED_BYTE_NS * report["call_bytes"]
        self._judged_ns = report["judged_cpu_ns"] - handling - JUDGED_COLD_NS
        self._cold_ns = MEMOISED_EXCESS_NS + MEMOISED_EXCESS_PER_CALL_NS * report["recorded"]
        self._fd = candidate.control.fileno()
        self._clock = process_clock(candidate.pid)
        self._batch = self._most_threads = 1
        self._hand_over_cpu = self._hand_over_wall = 0

    def measure(self, loops: int | None) -> dict[str, Any]:
        """Timing samples of `loops` passes (found by doubling if None), or why there are none."""
        try:
            return self._measure(loops)
        except (OSError, wire.FrameError, TimeoutError) as error:
            return {"flags": [f"not_timed: {error}"[:200]]}

    def _measure(self, loops: int | None) -> dict[str, Any]:
        self._await()
        frame = wire.frame_at_once(self._fd)
        if len(frame) != 8:
            raise wire.FrameError("no timing hello")
        self._batch = max(1, int.from_bytes(frame, "big"))
        empty = [self._sample(0) for _ in range(EMPTY_SAMPLES)]  # what the hand-over itself costs
        self._hand_over_cpu = min(sample.cpu for sample in empty)
        self._hand_over_wall = min(sample.wall for sample in empty)
        first = min((self._first_pass() for _ in range(self._settings["first_passes"])), default=0)
        loops = loops or self._calibrate(first)
        self._sample(loops)  # warm-up, thrown away
        samples, redone = self._samples(loops)
        cpu = [sample.cpu for sample in samples]
        flags = self._flags(first, min(cpu) / loops)
        if min(sample.waited / max(sample.wall, 1) for sample in samples) > MAX_WAITED:
            flags.append("waits")
        wall = [sample.wall for sample in samples]
        return {"loops": loops, "cpu_ns": cpu, "wall_ns": wall, "first_ns": first, "redone": redone, "flags": flags}

    def _calibrate(self, first: int) -> int:
        """Passes double until a sample lasts long enough."""
        loops, used = 1, first
        while used < self._settings["min_sample_ns"]:
            loops *= 2
            used = self._sample(loops).cpu
        return loops

    def _samples(self, loops: int) -> tuple[list[Sample], int]:
        settings = self._settings
        kept: list[Sample] = []
        redone, wanted = 0, settings["samples"]
        while len(kept) < wanted:
            sample = self._sample(loops)
            self._most_threads = max(self._most_threads, _stat(self._candidate.pid).threads)
            if sample.cpu / loops > settings["long_pass_ns"]:
                wanted = min(wanted, settings["long_samples"])
            if redone < settings["max_redo"] and sample.gap > settings["max_gap"] * sample.wall:
                redone += 1
                continue
            kept.append(sample)
        return kept, redone

    def _flags(self, first: int, later: float) -> list[str]:
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
        left = (self._deadline - _now()) // 1_000_000
        if left <= 0 or not wire.readable(self._fd, int(left)):
            raise TimeoutError("over the time budget of one process")
