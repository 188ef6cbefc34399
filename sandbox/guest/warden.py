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
import random
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any, NamedTuple

from . import wire

SCRATCH = "/scratch"
JUDGE_UID = 10_001
HEAD_BYTES = 2_048  # of the candidate's output, kept for people
POLL_MS = 20
PIPE_READ = 1 << 16
DYING_MS = 200
LEAVE_SECONDS = 1.0  # for the judge to notice that its candidate is gone
JUDGE_LIMITS = {"memory_bytes": 1 << 30, "file_bytes": 0, "open_files": 64, "processes": 64, "cpu_seconds": 1 << 30}
JUDGE_CPU_NS = 10_000_000_000  # one judgement's own CPU time: a test loops for ever on a wrong result

_now = time.monotonic_ns


class Broken(Exception):
    """Something of ours does not work: the host retires this container."""


class BrokenTest(Exception):
    """The data set's test cannot be used: no other container would do better."""


def process_clock(pid: int) -> int:
    """The clock id of another process's CPU time (Linux: clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


def cpu_ns(pid: int) -> int:
    try:
        return time.clock_gettime_ns(process_clock(pid))
    except OSError:  # it is gone
        return 0


def frame_at_once(fd: int) -> bytes:
    """A small frame that must have arrived whole: a sender that stalls in the middle cannot hold the warden up."""
    data = os.read(fd, PIPE_READ)
    if data and int.from_bytes(data[: wire.HEADER_BYTES], "big") != len(data) - wire.HEADER_BYTES:
        raise wire.FrameError("not one whole frame")
    return data[wire.HEADER_BYTES :]


class Zygote:
    """The warden's side of the zygote."""

    def __init__(self, hash_seed: int) -> None:
        self.hash_seed = hash_seed
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        # The size of the environment shifts the stack, which shifts timings: it varies with the seed, so from block to
        # block (Mytkowicz et al. 2009).
        environment = {
            "PYTHONHASHSEED": str(hash_seed),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "PADDING": "x" * (hash_seed % 4_096),
        }
        fd = theirs.fileno()
        self.process = subprocess.Popen(  # our own script
            [sys.executable, "-s", "-m", f"{__package__}.zygote", str(fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(fd,),
            env=environment,
        )
        theirs.close()

    def _ask(self, request: dict[str, Any], fds: list[int]) -> list[int]:
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode("ascii")], fds)
            answer = self._socket.recv(65_536)
        except OSError as error:
            raise Broken(f"the zygote does not answer: {error}") from error
        if not answer:
            raise Broken("the zygote is gone")
        result = json.loads(answer)
        assert isinstance(result, list)
        return result

    def spawn(self, role: str, uid: int, limits: dict[str, Any], fds: list[int], *, stdout: bool, oom: int) -> int:
        request = {
            "op": "spawn", "role": role, "uid": uid, "limits": limits, "stdout": stdout, "oom_score_adj": oom,
        }  # fmt: skip
        return self._ask(request, fds)[0]

    def reap(self, pid: int) -> tuple[int, int, int]:
        """Exit status (as of wait), CPU ns and peak resident bytes of a child that has ended or is about to."""
        status, used, peak = self._ask({"op": "reap", "pid": pid}, [])
        return status, used, peak

    def stop(self) -> None:
        self._socket.close()
        self.process.kill()
        self.process.wait()


class Judge:
    """The warden's side of a judge process that holds one test."""

    def __init__(self, zygote: Zygote, test: dict[str, str]) -> None:
        self.test = test
        self._zygote = zygote
        self.socket, theirs = socket.socketpair()
        self.pid = zygote.spawn("judge", JUDGE_UID, JUDGE_LIMITS, [theirs.fileno()], stdout=False, oom=500)
        theirs.close()
        wire.send_frame(self.socket.fileno(), json.dumps(test).encode("ascii"))
        if not wire.readable(self.socket.fileno(), 10_000):
            raise Broken("the judge does not start")
        frame = wire.receive_frame(self.socket.fileno())
        if frame is None:
            raise Broken("the judge ended at its start")
        hello = json.loads(frame)
        self.broken = hello.get("broken", "")
        self.unresolved = hello.get("unresolved", [])

    def stop(self) -> None:
        self.socket.close()
        os.kill(self.pid, signal.SIGKILL)
        self._zygote.reap(self.pid)


class Candidate:
    """One candidate process and the warden's ends of what it holds."""

    def __init__(self, zygote: Zygote, uid: int, limits: dict[str, Any], job: dict[str, Any]) -> None:
        self._zygote = zygote
        self.output, output_theirs = os.pipe()
        self.control, control_theirs = socket.socketpair()
        self.calls, calls_theirs = socket.socketpair()
        self.started = _now()
        fds = [output_theirs, control_theirs.fileno(), calls_theirs.fileno()]
        self.pid = zygote.spawn("candidate", uid, limits, fds, stdout=True, oom=1_000)
        os.close(output_theirs)
        control_theirs.close()
        calls_theirs.close()
        self.pidfd = os.pidfd_open(self.pid)
        self.output_bytes = 0
        self.head = b""
        self._output_open = True
        os.set_blocking(self.output, False)
        # Trusted code reads this before it runs anything, so the write cannot be held up for long.
        wire.send_frame(self.control.fileno(), json.dumps(job).encode("ascii"))

    def drain(self) -> None:
        while self._output_open:
            try:
                data = os.read(self.output, PIPE_READ)
            except BlockingIOError:
                return
            self._output_open = bool(data)
            self.output_bytes += len(data)
            if len(self.head) < HEAD_BYTES:
                self.head += data[: HEAD_BYTES - len(self.head)]

    @property
    def output_fd(self) -> int | None:
        return self.output if self._output_open else None

    def end(self) -> tuple[int, int, int]:
        """Kill and reap it; (wait status, CPU ns, peak resident bytes)."""
        os.kill(self.pid, signal.SIGKILL)
        result = self._zygote.reap(self.pid)
        self.drain()
        for fd in (self.output, self.pidfd):
            os.close(fd)
        self.control.close()
        self.calls.close()
        return result


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
            frame = frame_at_once(source.fileno())
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


REFERENCE_SAMPLES = 2
SWEEPER_LIMITS = {"memory_bytes": 1 << 30, "file_bytes": 0, "open_files": 60_000, "processes": 64, "cpu_seconds": 10}


class Sample(NamedTuple):
    """One timing sample, in ns. `waited`: wall time in which the candidate neither ran nor was ready to."""

    cpu: int
    wall: int
    waited: int


class Stopwatch:
    """Times one candidate's repetitions from outside (docs/timing: steps 3, 4 and 6)."""

    def __init__(self, candidate: Candidate, settings: dict[str, Any], deadline: int, report: dict[str, Any]) -> None:
        self._candidate, self._settings, self._deadline = candidate, settings, deadline
        self._results_digest = report["results_digest"]
        self._cold_ns = MEMOISED_EXCESS_NS + MEMOISED_EXCESS_PER_CALL_NS * report["recorded"]
        self._fd = candidate.control.fileno()
        self._clock = process_clock(candidate.pid)
        self._batch = 1
        self._hand_over_gap = 0

    def measure(self, loops: int | None) -> dict[str, Any]:
        """Timing samples of `loops` passes (found by doubling if None), or why there are none."""
        try:
            return self._measure(loops)
        except (OSError, wire.FrameError, TimeoutError) as error:
            return {"flags": [f"not_timed: {error}"[:200]]}

    def _measure(self, loops: int | None) -> dict[str, Any]:
        self._await()
        frame = frame_at_once(self._fd)
        if len(frame) != 8:
            raise wire.FrameError("no timing hello")
        self._batch = max(1, int.from_bytes(frame, "big"))
        empty = [self._sample(0) for _ in range(3)]  # what the hand-over itself costs
        self._hand_over_gap = min(sample.wall - sample.cpu for sample in empty)
        wanted = self._settings.get("first_passes", FIRST_PASSES)
        firsts = [self._first_pass() - min(sample.cpu for sample in empty) for _ in range(wanted)]
        first = max(0, min(firsts, default=0))
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
            if sample.cpu / loops > settings["long_pass_ns"]:
                wanted = min(wanted, settings["long_samples"])
            gap = sample.wall - sample.cpu - self._hand_over_gap
            if redone < settings["max_redo"] and gap > settings["max_gap"] * sample.wall:
                redone += 1
                continue
            kept.append(sample)
        return kept, redone

    def _flags(self, first: int, later: float) -> list[str]:
        wire.send_frame(self._fd, b"V")
        self._await()
        flags = []
        if frame_at_once(self._fd).decode("ascii", "replace") != self._results_digest:
            flags.append("results_differ")
        if first > 3 * later and first - later > self._cold_ns:
            flags.append("memoises")
        return flags

    def _first_pass(self) -> int:
        """CPU time of one pass by a freshly loaded program: nothing is remembered from earlier calls."""
        wire.send_frame(self._fd, b"L")
        self._expect(b"R")
        return self._sample(1).cpu

    def _sample(self, passes: int) -> Sample:
        """One timing sample of `passes` passes, in batches whose arguments fit into memory."""
        cpu = wall = delay = 0
        while True:
            batch = min(passes, self._batch)
            wire.send_frame(self._fd, b"P" + batch.to_bytes(8, "big"))
            self._expect(b"R")
            delay -= self._run_delay()
            wall_before, cpu_before = _now(), time.clock_gettime_ns(self._clock)
            os.write(self._fd, b"G")
            self._expect(b"D")
            cpu += time.clock_gettime_ns(self._clock) - cpu_before
            wall += _now() - wall_before
            delay += self._run_delay()
            passes -= batch
            if passes <= 0:
                return Sample(cpu, wall, wall - cpu - delay)

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


def run_delay(pid: int) -> int:
    """Nanoseconds that a process has waited for a core so far; 0 where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/schedstat") as stream:
            return int(stream.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


FIRST_PASSES = 3
MAX_WAITED = 0.1  # of wall time: a solution that sleeps hides its run time from the CPU clock
# Cold caches make the first pass of anything dearer, by about a microsecond a call.
MEMOISED_EXCESS_NS = 4_000
MEMOISED_EXCESS_PER_CALL_NS = 1_000


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
    random.seed(0)
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
