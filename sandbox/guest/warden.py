"""The warden: PID 1 of the container. Forks through the zygote, limits, times, reaps, cleans. Trusts nobody.

Theory of operation. The host sends requests as frames on stdin and reads one answer frame each from stdout, in order.
For a run the warden asks the zygote for a candidate process under the candidate uid, gives it the program over a
socket that only the two hold, gives the judge the other end of the candidate's call socket, and then waits for the
first of: the judge's decision, the candidate's end, a limit. Whatever comes, it kills the candidate, has it reaped,
makes sure that no other process is left and that the scratch folder is empty, and only then answers. If cleaning fails
the answer says `dirty`, and the host throws the container away.

The clock is the warden's: the candidate's CPU time is read from outside through its process clock, wall time from the
monotonic clock. Nothing that the candidate says about itself is used.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from . import wire
from .clocks import cpu_ns
from .processes import Broken, BrokenTest, Candidate, Judge, Zygote
from .stopwatch import Stopwatch

SCRATCH = "/scratch"
POLL_MS = 20
DYING_MS = 200
LEAVE_SECONDS = 1.0  # for the judge to notice that its candidate is gone
REFERENCE_SAMPLES = 2
SWEEPER_LIMITS = {"memory_bytes": 1 << 30, "file_bytes": 0, "open_files": 60_000, "processes": 64, "cpu_seconds": 10}
JUDGE_CPU_NS = 10_000_000_000  # one judgement's own CPU time: a test loops for ever on a wrong result

_now = time.monotonic_ns


class Warden:
    def __init__(self, uid: int) -> None:
        self._uid = uid
        self._zygote = Zygote(0)
        self._judge: Judge | None = None
        self._oom_kills = oom_kills()

    # ---- the two kinds of work -------------------------------------------------------------------------------------

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Judge one solution."""
        if self._zygote.hash_seed:
            self._use_zygote(0)
        candidate, judge, report = self._judge_candidate(request, timed=False)
        return self._finish(candidate, judge, report)

    def block(self, request: dict[str, Any]) -> dict[str, Any]:
        """Time the solutions of a problem, each in a fresh process, with the reference workload before and after."""
        self._use_zygote(request["hash_seed"])
        settings = request["settings"]
        before = self._time_reference(request)
        timings = [self._time_one(job, settings) for job in request["jobs"]]
        return {"reference_ns": [before, self._time_reference(request)], "timings": timings}

    def _time_reference(self, request: dict[str, Any]) -> int:
        settings = request["settings"] | {"samples": REFERENCE_SAMPLES, "first_passes": 0}
        timing = self._time_one(request["reference"], settings)["timing"]
        if not timing.get("cpu_ns"):
            raise Broken(f"the reference workload could not be timed: {timing}")
        return int(min(timing["cpu_ns"]) // timing["loops"])

    def _time_one(self, job: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        candidate, judge, report = self._judge_candidate(job, timed=True)
        timing: dict[str, Any] = {}
        if report.get("outcome") == "passed":
            budget = candidate.started + int(job["limits"]["wall_seconds"] * 1e9) + int(settings["cpu_seconds"] * 2e9)
            timing = Stopwatch(candidate, settings, budget, report).measure(job["loops"])
        answer = self._finish(candidate, judge, report)
        return answer | {"timing": timing}

    # ---- one judged run --------------------------------------------------------------------------------------------

    def _judge_candidate(self, request: dict[str, Any], *, timed: bool) -> tuple[Candidate, Judge, dict[str, Any]]:
        limits = request["limits"]
        judge = self._judge_for(request["test"])
        if judge.broken:
            raise BrokenTest(judge.broken)
        weak = request.get("weak", "")
        if judge.unresolved:
            weak = f"the test uses {', '.join(judge.unresolved[:5])}, which only the solution defines"
        job = {"program": request["program"], "timed": timed}
        if weak:
            job |= {"test": request["test"]["test"], "entry_point": request["test"]["entry_point"]}
        backstop = limits["cpu_seconds"] + (request["timing_cpu_seconds"] if timed else 0)
        candidate = Candidate(self._zygote, self._uid, limits | {"cpu_seconds": backstop}, job)
        if weak:
            source = candidate.calls
            report_prefix: dict[str, Any] = {"weak": weak}
        else:
            socket.send_fds(judge.socket, [b"J"], [candidate.calls.fileno()])
            candidate.calls.close()
            source = judge.socket
            report_prefix = {}
        report = report_prefix | self._wait(candidate, judge, source, limits)
        if report.get("outcome") == "needs_one_process" and not request.get("weak"):
            self._finish(candidate, judge, report)
            return self._judge_candidate(request | {"weak": report["message"]}, timed=timed)
        return candidate, judge, report

    def _wait(
        self, candidate: Candidate, judge: Judge, source: socket.socket, limits: dict[str, Any]
    ) -> dict[str, Any]:
        """Until there is a report, or the candidate is over a limit or gone. `cause` says which ended it."""
        wall_end = candidate.started + int(limits["wall_seconds"] * 1e9)
        judge_end = cpu_ns(judge.pid) + JUDGE_CPU_NS
        gone_at = 0
        while True:
            poller = select.poll()
            poller.register(source, select.POLLIN)
            if not gone_at:
                poller.register(candidate.pidfd, select.POLLIN)
            if candidate.output_fd is not None:
                poller.register(candidate.output_fd, select.POLLIN)
            ready = {fd for fd, _ in poller.poll(POLL_MS)}
            if candidate.output_fd in ready:
                candidate.drain()
            if source.fileno() in ready:
                return self._report(source)
            now = _now()
            if candidate.output_bytes > limits["output_bytes"]:
                return {"cause": "output_limit"}
            if not gone_at and cpu_ns(candidate.pid) > limits["cpu_seconds"] * 1e9:
                return {"cause": "cpu_limit"}
            if cpu_ns(judge.pid) > judge_end:
                return {"cause": "judge"}
            if now > wall_end:
                return {"cause": "wall_limit"}
            if candidate.pidfd in ready:
                gone_at = now
                self._sweep()  # a child of its own may hold the socket open
            if gone_at and now - gone_at > LEAVE_SECONDS * 1e9:
                return {"cause": "gone"}

    @staticmethod
    def _report(source: socket.socket) -> dict[str, Any]:
        """The judge's report. In weak mode it comes from the candidate, so anything may be in it."""
        try:
            frame = wire.frame_at_once(source.fileno())
            report = json.loads(frame) if frame else {"outcome": "gone"}
        except (wire.FrameError, ValueError, RecursionError, OSError):
            return {"outcome": "violation", "message": "not a report"}
        return report if isinstance(report, dict) else {"outcome": "violation", "message": "not a report"}

    def _finish(self, candidate: Candidate, judge: Judge, report: dict[str, Any]) -> dict[str, Any]:
        """End the candidate, clean up, and put the facts together for the host."""
        wall = _now() - candidate.started
        before = cpu_ns(candidate.pid)
        # A process that dies closes its sockets a moment before it is a zombie: without the wait, how it died is lost.
        ended_itself = wire.readable(candidate.pidfd, DYING_MS if report.get("outcome") == "gone" else 0)
        status, used, peak = candidate.end()
        if report.get("outcome") in (None, "violation", "gone"):
            self._retire_judge(judge)  # it may be in the middle of a call; the next run gets a new one
        facts = {
            "report": report,
            "ended_itself": ended_itself,
            "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "cpu_ns": max(used, before),
            "wall_ns": wall,
            "max_rss_bytes": peak,
            "output_bytes": candidate.output_bytes,
            "head": candidate.head.decode("utf-8", "replace"),
            "out_of_memory": self._ran_out_of_memory() if ended_itself else False,
        }
        facts["dirty"] = self._clean()
        return facts

    def _ran_out_of_memory(self) -> bool:
        before, self._oom_kills = self._oom_kills, oom_kills()
        return self._oom_kills > before

    # ---- processes -------------------------------------------------------------------------------------------------

    def _judge_for(self, test: dict[str, str]) -> Judge:
        if self._judge is not None and self._judge.test != test:
            self._retire_judge(self._judge)
        if self._judge is None:
            self._judge = Judge(self._zygote, test)
        return self._judge

    def _retire_judge(self, judge: Judge) -> None:
        if judge is self._judge:
            self._judge = None
            judge.stop()

    def _use_zygote(self, hash_seed: int) -> None:
        """A new interpreter for each block: its hash seed, its memory layout."""
        if self._judge is not None:
            self._retire_judge(self._judge)
        self._zygote.stop()
        self._zygote = Zygote(hash_seed)

    def _strangers(self) -> list[int]:
        """Live processes that are none of ours."""
        known = {1, self._zygote.process.pid, self._judge.pid if self._judge else 0}
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:  # orphans come to PID 1
                    break
            except ChildProcessError:
                break
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in known]

    def _sweep(self) -> None:
        pid = self._zygote.spawn("sweeper", self._uid, SWEEPER_LIMITS, [], stdout=False, oom=0)
        self._zygote.reap(pid)

    def _clean(self) -> str:
        """Nothing of the run is left: no process, no file. Returns what could not be removed, or nothing."""
        for attempt in range(20):
            strangers, used = self._strangers(), os.statvfs(SCRATCH)
            files = used.f_files - used.f_ffree > 1
            if not strangers and not files:
                return ""
            self._sweep()
            if attempt > 3:
                time.sleep(0.01)
        return f"left over: processes {self._strangers()}, files {files}"


def oom_kills() -> int:
    """Out-of-memory kills in this container so far (cgroup v2, else v1)."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as stream:
                for line in stream:
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        return int(value)
        except OSError:
            continue
    return 0


def self_check() -> dict[str, Any]:
    """What the container's lock-down looks like from inside; the host refuses anything but what it asked for."""
    with open("/proc/self/status") as stream:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    try:
        with open("/.write-test", "w"):
            pass
        read_only = False
    except OSError:
        read_only = True
    return {
        "python": sys.version.split()[0],
        "pid": os.getpid(),
        "capabilities": int(status["CapEff"], 16),
        "bounding": int(status["CapBnd"], 16),
        "no_new_privileges": status["NoNewPrivs"].strip() == "1",
        "seccomp": int(status["Seccomp"]),
        "read_only": read_only,
        "interfaces": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else [],
        "cpus": sorted(os.sched_getaffinity(0)),
        "memory_limit": _limit("memory.max", "memory/memory.limit_in_bytes"),
        "pids_limit": _limit("pids.max", "pids/pids.max"),
        "scratch_inodes": os.statvfs(SCRATCH).f_files,
    }


def _limit(*names: str) -> int | None:
    for name in names:
        try:
            with open(f"/sys/fs/cgroup/{name}") as stream:
                text = stream.read().strip()
                return int(text) if text != "max" else None
        except (OSError, ValueError):
            continue
    return None


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # The protocol's stdout is kept under another number, so that no stray print can get into it.
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    warden: Warden | None = None
    while (frame := wire.receive_frame(requests)) is not None:
        request = json.loads(frame)
        try:
            if request["op"] == "hello":
                warden = Warden(request["uid"])
                answer = self_check()
            else:
                assert warden is not None
                answer = warden.run(request) if request["op"] == "run" else warden.block(request)
        except BrokenTest as error:
            answer = {"broken_test": str(error)}
        except Exception as error:  # anything of ours that breaks is INTERNAL, and says so
            answer = {"internal": f"{type(error).__name__}: {error}"}
        wire.send_frame(answers, json.dumps(answer).encode("ascii"))


if __name__ == "__main__":
    main()
