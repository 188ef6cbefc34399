"""The warden: PID 1 of the container. Forks through the zygote, limits, times, reaps, cleans. Trusts nobody.

Theory of operation. The host sends requests as frames on stdin, many ahead of their answers; answers carry the
request's id and go to stdout in the order in which runs end. For a run the warden takes a slot (a uid and a scratch
folder of its own, see `slots`), has the zygote fork a candidate under that uid, gives it the program, and hands the
other end of its call socket to a judge that holds the test (see `run`). Whatever ends the run, the warden then kills
the candidate, has it reaped, makes sure that no process of that uid is left and that the scratch folder is empty, and
only then answers. If cleaning fails the answer says `dirty`, and the host throws the container away.

One core, one run at a time, as long as runs are quick: a run that has taken more than a few milliseconds may be asleep,
so the next one is begun beside it, up to the number of slots. Three things are done alone: a timing block, a run that
the kernel killed for want of memory while others were in flight (who used it up?), and a run that the host marks so.

The clock is the warden's: the candidate's CPU time is read from outside through its process clock, wall time from the
monotonic clock. Nothing that the candidate says about itself is used.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections import deque
from typing import Any

from . import wire
from .candidate import JUDGED, PROBE, TIMED, WEAK
from .limits import OutOfMemory, self_check
from .lockdown import JUDGE_UID
from .processes import JUDGE_LIMITS, Broken, BrokenTest, Candidate, Judges, Zygote
from .run import Run
from .slots import Census, Slot, clean
from .stopwatch import Stopwatch
from .zygote import FULL, JUDGES, LEAN, kind_for

TICK_MS = 20  # between two looks at the limits
OVERLAP_NS = 6_000_000  # a run older than this may be waiting for something: the next one is begun
REFERENCE_SAMPLES = 3
REFERENCE_LASTS_NS = 500_000_000  # the one after a block is the one before the next block if that follows at once
HOLD_NS = 10_000_000  # that an answer may wait for others, while there is work ahead
PROBE_SECONDS = 10

_now = time.monotonic_ns


class Warden:
    """Requests in, answers out: `serve` is the event loop."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = wire.FrameReader(requests)
        self._answers = answers
        self._outgoing: list[bytes] = []  # answers, kept back a little to be sent together
        self._oldest_answer = 0
        self._poll = select.poll()
        self._poll.register(requests, select.POLLIN)
        self._queue: deque[dict[str, Any]] = deque()
        self._runs: dict[int, Run] = {}  # by every descriptor that they wait for
        self._in_flight: list[Run] = []
        self._free: list[Slot] = []
        self._gid = 0
        self._limits: dict[str, Any] = {}
        self._gvisor = False
        self._hash_seed = 0
        self._zygotes: dict[str, Zygote] = {}  # by kind; begun when one is needed
        self._judges: Judges
        self._reference = (0, 0)  # when it was last timed with these zygotes, and what came out, in ns
        self._census = Census()
        self._memory = OutOfMemory()

    def serve(self) -> None:
        """Until the host closes its end."""
        next_tick = 0
        while True:
            self._begin_what_may_begin()
            if not self._in_flight or _now() - self._oldest_answer > HOLD_NS:
                self._flush()
            for fd, _ in self._poll.poll(self._patience()):
                if fd == self._requests.fd:
                    frames = self._requests.read()
                    if frames is None:
                        return
                    self._queue.extend(json.loads(frame) for frame in frames)
                elif fd in self._runs:
                    self._guarded(self._runs[fd], fd)
            now = _now()
            if now >= next_tick:
                next_tick = now + TICK_MS * 1_000_000
                for run in self._in_flight:
                    run.check(now, self._census, self._known())
            for run in [run for run in self._in_flight if run.report is not None]:
                self._end(run)

    def _patience(self) -> int | None:
        """Milliseconds to wait: until the next look at the limits, or until another run may be begun."""
        if not self._in_flight:
            return None if not self._queue else 0
        if self._queue and self._free:
            youngest = max(run.candidate.started for run in self._in_flight)
            return max(1, min(TICK_MS, (OVERLAP_NS - (_now() - youngest)) // 1_000_000 + 1))
        return HOLD_NS // 1_000_000 if self._outgoing else TICK_MS

    def _guarded(self, run: Run, fd: int) -> None:
        try:
            if not run.ready(fd):
                self._poll.unregister(fd)
        except Broken as error:
            run.report = {"internal": str(error)}

    # ---- answers ---------------------------------------------------------------------------------------------------

    def _answer(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        payload = json.dumps(answer | {"id": request.get("id", 0)}).encode("ascii")
        if not self._outgoing:
            self._oldest_answer = _now()
        self._outgoing.append(len(payload).to_bytes(wire.HEADER_BYTES, "big") + payload)

    def _flush(self) -> None:
        if self._outgoing:
            wire.write_all(self._answers, b"".join(self._outgoing))
            self._outgoing.clear()

    # ---- what to begin ---------------------------------------------------------------------------------------------

    def _begin_what_may_begin(self) -> None:
        while self._queue and self._may_begin(self._queue[0]):
            request = self._queue.popleft()
            try:
                if request["op"] == "run":
                    if self._hash_seed:
                        self._use_zygotes(0)
                    self._begin(request)
                elif request["op"] == "block":
                    self._answer(request, self.block(request))
                else:
                    self._answer(request, self.hello(request))
            except BrokenTest as error:
                self._answer(request, {"broken_test": str(error)})
            except Exception as error:  # anything of ours that breaks is INTERNAL, and says so
                self._answer(request, {"internal": f"{type(error).__name__}: {error}"})

    def _may_begin(self, request: dict[str, Any]) -> bool:
        if not self._in_flight:
            return True
        if request["op"] != "run" or request.get("alone") or not self._free:
            return False
        if any(run.request.get("alone") for run in self._in_flight):
            return False
        return _now() - max(run.candidate.started for run in self._in_flight) > OVERLAP_NS

    def hello(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take over the settings, look at the lock-down from inside, and try it as a candidate would."""
        self._limits, self._gvisor = request["limits"], request["gvisor"]
        self._free = [Slot(index, uid) for index, uid in enumerate(request["uids"])]
        self._gid = self._free[0].uid
        self._use_zygotes(0)
        facts = self_check([slot.scratch for slot in self._free], self._zygote(LEAN).process.pid)
        return facts | {"probes": self._probe(self._free[0])}

    def _probe(self, slot: Slot) -> dict[str, str]:
        prober = Candidate(self._zygote(LEAN), slot, PROBE, [json.dumps(self._limits)])
        try:
            if not wire.readable(prober.calls.fileno(), PROBE_SECONDS * 1_000):
                raise Broken("the probe of the lock-down does not answer")
            frame = wire.frame_at_once(prober.calls.fileno())
        finally:
            prober.end()
            dirty = clean(slot, self._census, self._known, None)
        if dirty:
            raise Broken(f"what the probe left cannot be removed: {dirty}")
        facts = json.loads(frame)
        assert isinstance(facts, dict)
        return facts

    # ---- one judged run --------------------------------------------------------------------------------------------

    def _begin(self, request: dict[str, Any], *, timed: bool = False) -> Run:
        judge = self._judges.take(request["test"])
        weak = request.get("weak", "")
        slot = self._free.pop(0)
        kind, texts = TIMED if timed else JUDGED, [request["program"]]
        if weak:
            kind = WEAK
            texts += [request["test"]["test"], request["test"]["entry_point"]]
        backstop = self._limits["cpu_seconds"] + (request["timing_cpu_seconds"] if timed else 0)
        # Timed solutions start alike, whatever they import.
        zygote = self._zygote(FULL if timed or weak else kind_for(request["program"]))
        candidate = Candidate(zygote, slot, kind, texts, cpu_seconds=backstop)
        run = Run(request, slot, candidate, judge, weak, self._limits)
        run.oom_kills = self._memory.kills()
        self._in_flight.append(run)
        if len(self._in_flight) > 1:
            for other in self._in_flight:
                other.had_company = True
        for fd in run.descriptors():
            self._poll.register(fd, select.POLLIN)
            self._runs[fd] = run
        return run

    def _end(self, run: Run) -> None:
        """Answer for a run that is over, or begin it anew where its end may have had another cause."""
        facts = self._finish(run)
        if "internal" in facts["report"]:
            self._answer(run.request, {"internal": facts["report"]["internal"]})
        elif run.outcome == "needs_one_process" and not run.weak:
            self._queue.appendleft(run.request | {"weak": str(facts["report"].get("message", ""))})
        elif facts["out_of_memory"] and run.had_company:
            self._queue.appendleft(run.request | {"alone": True})
        else:
            self._answer(run.request, facts)

    def _finish(self, run: Run) -> dict[str, Any]:
        """End a run's candidate, clean up, and put the facts together for the host."""
        for fd in run.descriptors():
            self._runs.pop(fd, None)
            try:
                self._poll.unregister(fd)
            except KeyError:  # it was closed, or the process is gone
                continue
        facts = run.finish(self._memory.kills())
        self._release_judge(run)
        self._in_flight.remove(run)
        own = None if self._in_flight else 1 + len(self._zygotes) + len(self._judges.pids)
        facts["dirty"] = clean(run.slot, self._census, self._known, own)
        self._free.insert(0, run.slot)
        return facts

    def _release_judge(self, run: Run) -> None:
        if not run.has_judge:
            return
        run.has_judge = False
        if run.judge_is_free:
            self._judges.give_back(run.judge)
        else:
            self._judges.retire(run.judge)

    def _known(self) -> set[int]:
        """Our own processes, and the candidates in flight: whatever else there is, a candidate started it."""
        zygotes = (zygote.process.pid for zygote in self._zygotes.values())
        return {1, *zygotes, *self._judges.pids, *(run.candidate.pid for run in self._in_flight)}

    def _use_zygotes(self, hash_seed: int) -> None:
        """Interpreters of that hash seed, new ones where it is another: another memory layout too. Judges stay: nothing
        of theirs is timed."""
        if JUDGES not in self._zygotes:
            self._judges = Judges(self._zygote(JUDGES))
        if hash_seed == self._hash_seed:
            return
        for kind in self._zygotes.keys() - {JUDGES}:
            self._zygotes.pop(kind).stop()
        self._hash_seed, self._reference = hash_seed, (0, 0)

    def _zygote(self, kind: str) -> Zygote:
        if kind not in self._zygotes:
            # The candidates' group is one that nothing else is in.
            limits, gid = (JUDGE_LIMITS, JUDGE_UID) if kind == JUDGES else (self._limits, self._gid)
            self._zygotes[kind] = Zygote(kind, self._hash_seed, limits, gid, gvisor=self._gvisor)
        return self._zygotes[kind]

    # ---- timing ----------------------------------------------------------------------------------------------------

    def block(self, request: dict[str, Any]) -> dict[str, Any]:
        """Time the solutions of a problem, each in a fresh process, with the reference workload before and after.

        As many at a time as there are slots, and of those one sample each in turn: what disturbs the machine for longer
        than a sample then meets all of them, and the least of a solution's samples is from another moment.
        """
        self._use_zygotes(request["hash_seed"])
        settings = request["settings"]
        when, before = self._reference
        if _now() - when > REFERENCE_LASTS_NS:
            before = self._time_reference(request)
        jobs, most = request["jobs"], len(self._free)
        groups = -(-len(jobs) // most)
        timings = [
            timing
            for number in range(groups)
            for timing in self._time(jobs[number * len(jobs) // groups : (number + 1) * len(jobs) // groups], settings)
        ]
        after = self._time_reference(request)
        self._reference = (_now(), after)
        return {"reference_ns": [before, after], "timings": timings}

    def _time_reference(self, request: dict[str, Any]) -> int:
        settings = request["settings"] | {"samples": REFERENCE_SAMPLES, "first_passes": 0}
        timing = self._time([request["reference"]], settings)[0]["timing"]
        if not timing.get("cpu_ns"):
            raise Broken(f"the reference workload could not be timed: {timing}")
        return int(min(timing["cpu_ns"]))

    def _time(self, jobs: list[dict[str, Any]], settings: dict[str, Any]) -> list[dict[str, Any]]:
        """Time solutions side by side, each stopped while another has its turn."""
        runs = [self._judged(job) for job in jobs]
        watches = [self._stopwatch(run, settings) for run in runs]
        for run, watch, job in zip(runs, watches, jobs, strict=True):
            if watch:
                with run.slot.running():
                    watch.start(job["loops"])
        for number in range(settings["samples"]):
            for run, watch in list(zip(runs, watches, strict=True))[:: -1 if number % 2 else 1]:
                if watch:
                    with run.slot.running():
                        watch.sample()
        return [
            self._timed(run, watch, job, settings) for run, watch, job in zip(runs, watches, jobs, strict=True)
        ]

    def _judged(self, job: dict[str, Any]) -> Run:
        """The judged run; its candidate is left stopped."""
        run = self._begin(job, timed=True)
        self._wait_for(run)
        if run.outcome == "needs_one_process" and not run.weak:
            self._finish(run)
            return self._judged(job | {"weak": str((run.report or {}).get("message", ""))})
        run.slot.stop_all()
        self._release_judge(run)
        return run

    def _stopwatch(self, run: Run, settings: dict[str, Any]) -> Stopwatch | None:
        if run.outcome != "passed" or run.weak or run.report is None or not run.is_there():
            return None
        budget = int(self._limits["wall_seconds"] * 1e9) + int(settings["cpu_seconds"] * 2e9)
        others = lambda: self._census.of_uid(run.slot.uid, self._known())  # noqa: E731
        return Stopwatch(run.candidate, settings, budget, run.report, others)

    def _timed(
        self, run: Run, watch: Stopwatch | None, job: dict[str, Any], settings: dict[str, Any]
    ) -> dict[str, Any]:
        timing: dict[str, Any] = {"flags": ["weak"]} if run.weak and run.outcome == "passed" else {}
        if watch:
            with run.slot.running():
                timing = watch.finish()
        facts = self._finish(run)
        if facts["out_of_memory"] and run.had_company:  # who used it up? The same again without the others
            return self._time([job], settings)[0]
        return facts | {"timing": timing}

    def _wait_for(self, run: Run) -> None:
        """Drive one run alone until it has a report."""
        poller = select.poll()
        for fd in run.descriptors():
            poller.register(fd, select.POLLIN)
        while run.report is None:
            for fd, _ in poller.poll(TICK_MS):
                if not run.ready(fd):
                    poller.unregister(fd)
            run.check(_now(), self._census, self._known())


def main() -> None:
    # The protocol's stdout is kept under another number, so that no stray print can get into it.
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    Warden(requests, answers).serve()


if __name__ == "__main__":
    main()
