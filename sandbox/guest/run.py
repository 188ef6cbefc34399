"""One judged run, from the candidate's start to the facts that the host turns into a verdict.

A run is a small state machine that the warden's event loop drives: `ready(fd)` when one of its descriptors has
something, `check(now)` from time to time for the limits. It is over as soon as there is a report; the candidate is
still there then (a timed run goes on with it), and `finish` ends it.

Two limits on time, because the machine may be busy. CPU time is what counts (`cpu_limit`): the candidate's own, read
from outside, and that of processes it started. Wall time is the backstop for a run that does nothing (`wall_limit`):
time in which the candidate or its judge was ready to run but something else had the core is not counted against it.
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

from . import wire
from .clocks import cpu_ns, run_delay
from .processes import Broken, Candidate, Judge
from .slots import Census, Slot

DYING_MS = 200
LEAVE_NS = 1_000_000_000  # for the judge to notice that its candidate is gone
JUDGE_CPU_NS = 10_000_000_000  # one judgement's own CPU time: a test loops for ever on a wrong result
WALL_CAP = 5  # times the wall limit after which a run ends however busy the machine is
CENSUS_AFTER_NS = 200_000_000  # a run that takes this long is looked at for processes of its own
SIGKILL = 9

_now = time.monotonic_ns


class Run:
    """A candidate with its judge, or alone with its test (`weak` says why)."""

    def __init__(
        self, request: dict[str, Any], slot: Slot, candidate: Candidate, judge: Judge, weak: str, limits: dict[str, Any]
    ) -> None:
        self.request, self.slot, self.candidate, self.judge, self.weak = request, slot, candidate, judge, weak
        self.report: dict[str, Any] | None = None
        self.has_judge = True
        self.had_company = False  # another candidate was in flight at some time
        self.oom_kills = 0  # of the container when the run began; set by the warden
        self._limits = limits
        self._source: socket.socket = candidate.calls if weak else judge.socket
        self._cpu_limit = int(limits["cpu_seconds"] * 1e9)
        self._wall_ns = int(limits["wall_seconds"] * 1e9)
        self._judge_end = cpu_ns(judge.pid) + JUDGE_CPU_NS
        self._delays: int | None = None  # the judge's at the first look: only a slow run needs it
        self._gone_at = 0
        self._was_there = False  # at the verdict
        self._next_census = candidate.started + CENSUS_AFTER_NS
        self._others_cpu = 0  # of processes that the candidate started and that still live
        if not weak:
            judge.judge(candidate.calls.fileno(), candidate.pid if candidate.control else 0)
            candidate.calls.close()

    def descriptors(self) -> list[int]:
        """What to wait for."""
        pidfd = self.candidate.pidfd
        return [self._source.fileno(), self.candidate.output, *([] if pidfd is None else [pidfd])]

    def ready(self, fd: int) -> bool:
        """Something is to be had on `fd`; False when it need not be waited for any more."""
        candidate = self.candidate
        if fd == candidate.output:
            candidate.drain()
            if candidate.output_bytes > self._limits["output_bytes"]:
                self._over("output_limit")
            return candidate.output_open
        if fd == candidate.pidfd:
            if self.report is not None or wire.readable(self._source.fileno()):
                return True  # it is over anyway, or about to be
            self._gone()
            return False
        if self.report is None:
            self.report = self._read_report()
        return True

    def _gone(self) -> None:
        self._gone_at = _now()
        self.slot.kill_all()  # a child of its own may hold the socket open

    def check(self, now: int, census: Census, known: set[int]) -> None:
        """Whether a limit is passed. `known`: processes that are not this run's children."""
        if self.report is not None:
            return
        candidate, started = self.candidate, self.candidate.started
        if self._delays is None:
            self._delays = run_delay(self.judge.pid)
        if candidate.pidfd is None and not self._gone_at and candidate.has_ended():
            self._gone()
        if self._gone_at:
            if now - self._gone_at > LEAVE_NS:
                self._over("gone")
        elif cpu_ns(candidate.pid) + self._others_cpu > self._cpu_limit:
            self._over("cpu_limit")
        elif cpu_ns(self.judge.pid) > self._judge_end:
            self._over("judge")
        elif now - started > self._wall_ns and (
            now - started - self._waited() > self._wall_ns or now - started > WALL_CAP * self._wall_ns
        ):
            self._over("wall_limit")
        elif now > self._next_census:
            self._next_census = now + CENSUS_AFTER_NS
            self._others_cpu = sum(map(cpu_ns, census.of_uid(self.slot.uid, known)))

    def _over(self, cause: str) -> None:
        self.report = self.report or {"cause": cause}

    def _waited(self) -> int:
        """Nanoseconds in which candidate and judge were ready to run and did not."""
        return run_delay(self.candidate.pid) + max(0, run_delay(self.judge.pid) - (self._delays or 0))

    def _read_report(self) -> dict[str, Any]:
        """The judge's report. In weak mode it comes from the candidate, so anything may be in it."""
        try:
            frame = wire.frame_at_once(self._source.fileno())
            report = json.loads(frame) if frame else None
        except (wire.FrameError, ValueError, RecursionError, OSError):
            report = "nonsense"
        if isinstance(report, dict):
            return report
        if not self.weak:
            raise Broken("the judge ended in the middle of a run")
        return {"outcome": "gone"} if report is None else {"outcome": "violation", "message": "not a report"}

    @property
    def outcome(self) -> str:
        return str((self.report or {}).get("outcome", ""))

    @property
    def judge_is_free(self) -> bool:
        """Whether the judge has come to an end by itself. Else it may be in the middle of a call."""
        return bool(self.weak) or self.outcome not in ("", "violation", "gone")

    def is_there(self) -> bool:
        """Whether a candidate that has passed is still there, to be timed. What becomes of it then is no matter of the
        verdict any more."""
        self._was_there = not self.candidate.has_ended()
        return self._was_there

    def finish(self, oom_kills: int) -> dict[str, Any]:
        """End the candidate; what was seen of it."""
        candidate = self.candidate
        wall = _now() - candidate.started
        before = cpu_ns(candidate.pid)
        # A process that dies closes its sockets a moment before it is a zombie: without the wait, how it died is lost.
        ended_itself = candidate.has_ended(DYING_MS if self.outcome == "gone" else 0)
        if ended_itself and self.outcome == "passed" and not self._was_there:
            # It stays until it is killed: whoever gave the last answers, a child say, it was not the candidate.
            self.report = {"outcome": "exited", "message": "the process ended before the test did"}
        status, used, peak = candidate.end()
        signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        return {
            "report": (self.report or {}) | ({"weak": self.weak} if self.weak else {}),
            "ended_itself": ended_itself,
            "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": signal,
            "cpu_ns": max(used, before),
            "wall_ns": wall,
            "max_rss_bytes": peak,
            "output_bytes": candidate.output_bytes,
            "head": candidate.head.decode("utf-8", "replace"),
            "out_of_memory": ended_itself and signal == SIGKILL and oom_kills > self.oom_kills,
        }
