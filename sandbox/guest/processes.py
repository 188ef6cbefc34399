"""The warden's side of the other roles: the zygote that forks them, the judges, the candidates."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from . import codec, wire
from . import zygote as zygote_module
from .candidate import PROBE, TIMED
from .lockdown import JUDGE_UID
from .slots import Slot
from .zygote import ANSWER, LOOK, REAP, REQUEST, SPAWN

HEAD_BYTES = 2_048  # of the candidate's output, kept for people
PIPE_READ = 1 << 16
JUDGE_LIMITS = {"memory_bytes": 512 << 20, "file_bytes": 0, "open_files": 64, "processes": 64, "cpu_seconds": 1 << 30}
JUDGE_START_MS = 10_000
IDLE_JUDGES = 12  # kept for tests that may come again

_now = time.monotonic_ns


class Broken(Exception):
    """Something of ours does not work: the host retires this container."""


class BrokenTest(Exception):
    """The data set's test cannot be used: no other container would do better."""


class Zygote:
    """The warden's side of a zygote. kind: one of `zygote.KINDS`."""

    def __init__(self, kind: str, hash_seed: int, limits: dict[str, Any], gid: int, *, gvisor: bool) -> None:
        self._limits = limits
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        # The size of the environment shifts the stack, which shifts timings: it varies with the seed, so from block to
        # block (Mytkowicz et al. 2009).
        environment = {
            "PYTHONHASHSEED": str(hash_seed),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "LD_BIND_NOW": "1",  # else each child looks the same symbols up again
            "PADDING": "x" * (hash_seed % 4_096),
        }
        fd = theirs.fileno()
        self.process = subprocess.Popen(  # our own script
            [sys.executable, "-s", "-c", f"from {zygote_module.__name__} import main; main()", str(fd), kind],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(fd,),
            env=environment,
        )
        theirs.close()
        settings = {"limits": limits, "gid": gid, "gvisor": gvisor}
        self._socket.send(codec.encode(settings))

    def _ask(self, request: bytes, fds: list[int]) -> tuple[int, int, int]:
        try:
            if fds:
                socket.send_fds(self._socket, [request], fds)
            else:
                self._socket.send(request)
            answer = self._socket.recv(ANSWER.size)
        except OSError as error:
            raise Broken(f"the zygote does not answer: {error}") from error
        if len(answer) != ANSWER.size:
            raise Broken("the zygote is gone")
        first, second, third = ANSWER.unpack(answer)
        return first, second, third

    def spawn(self, uid: int, fds: list[int], cpu_seconds: float | None = None, operation: bytes = SPAWN) -> int:
        """Fork a child that gets `fds` as its descriptors (see `lockdown.arrange_descriptors`); its pid."""
        limits = self._limits
        cpu = int(limits["cpu_seconds"] if cpu_seconds is None else cpu_seconds) + 2
        return self._ask(REQUEST.pack(operation, uid, cpu, limits["processes"], limits["open_files"]), fds)[0]

    def reap(self, pid: int) -> tuple[int, int, int]:
        """Exit status (as of wait), CPU ns and peak resident bytes of a child that has ended or is about to."""
        return self._ask(REQUEST.pack(REAP, pid, 0, 0, 0), [])

    def has_ended(self, pid: int) -> bool:
        """Whether a child is a zombie."""
        return bool(self._ask(REQUEST.pack(LOOK, pid, 0, 0, 0), [])[0])

    def stop(self) -> None:
        self._socket.close()
        self.process.kill()
        self.process.wait()


class Judge:
    """The warden's side of a judge process that holds one test. It serves one candidate at a time."""

    def __init__(self, zygote: Zygote, test: dict[str, str]) -> None:
        self._zygote = zygote
        self.key = test_key(test)
        self.socket, theirs = socket.socketpair()
        self.pid = zygote.spawn(JUDGE_UID, [theirs.fileno()])
        theirs.close()
        wire.send_frame(self.socket.fileno(), json.dumps(test).encode("ascii"))
        if not wire.readable(self.socket.fileno(), JUDGE_START_MS):
            raise Broken("the judge does not start")
        frame = wire.Stream(self.socket.fileno()).receive()
        if frame is None:
            raise Broken("the judge ended at its start")
        hello = json.loads(frame)
        self.broken = hello.get("broken", "")

    def judge(self, calls_fd: int, timed_pid: int) -> None:
        """Hand it a candidate's calls socket, and its pid where it is timed. Its report will come on `socket`."""
        try:
            socket.send_fds(self.socket, [timed_pid.to_bytes(8, "big")], [calls_fd])
        except OSError as error:
            raise Broken(f"the judge is gone: {error}") from error

    def stop(self) -> None:
        self.socket.close()
        os.kill(self.pid, signal.SIGKILL)
        self._zygote.reap(self.pid)


def test_key(test: dict[str, str]) -> tuple[str, str, str]:
    return test["test"], test["prompt"], test["entry_point"]


class Judges:
    """The judges of a zygote: at work, and idle ones by their test, the oldest let go first."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._idle: OrderedDict[int, Judge] = OrderedDict()  # by pid, least recently used first
        self._by_key: dict[tuple[str, str, str], list[Judge]] = {}
        self.pids: set[int] = set()

    def take(self, test: dict[str, str]) -> Judge:
        """An idle judge that holds this test, or a new one. Raises BrokenTest, Broken."""
        idle = self._by_key.get(test_key(test))
        if idle:
            judge = idle.pop()
            del self._idle[judge.pid]
        else:
            judge = Judge(self._zygote, test)
            self.pids.add(judge.pid)
        if judge.broken:
            self.give_back(judge)
            raise BrokenTest(judge.broken)
        return judge

    def give_back(self, judge: Judge) -> None:
        self._idle[judge.pid] = judge
        self._by_key.setdefault(judge.key, []).append(judge)
        if len(self._idle) > IDLE_JUDGES:
            _, oldest = self._idle.popitem(last=False)
            same = self._by_key[oldest.key]
            same.remove(oldest)
            if not same:
                del self._by_key[oldest.key]
            self.retire(oldest)

    def retire(self, judge: Judge) -> None:
        """End a judge that is not idle."""
        self.pids.discard(judge.pid)
        judge.stop()

    def stop(self) -> None:
        for judge in self._idle.values():
            self.retire(judge)
        self._idle.clear()
        self._by_key.clear()


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:  # an older gVisor: then its parent is asked from time to time
        return None


class Candidate:
    """One candidate process and the warden's ends of what it holds.

    kind, texts: its job (see `candidate.main`). cpu_seconds: its own backstop, see `lockdown`.
    """

    def __init__(
        self,
        zygote: Zygote,
        slot: Slot,
        kind: bytes,
        texts: Sequence[str],
        *,
        cpu_seconds: float | None = None,
    ) -> None:
        self._zygote = zygote
        self.output, output_theirs = os.pipe()
        self.calls, calls_theirs = socket.socketpair()
        fds = [calls_theirs.fileno(), output_theirs]
        self.control: socket.socket | None = None
        if kind == TIMED:
            self.control, control_theirs = socket.socketpair()
            fds.append(control_theirs.fileno())
        self.started = _now()
        self.pid = zygote.spawn(slot.uid, fds, cpu_seconds, zygote_module.PROBE if kind == PROBE else SPAWN)
        os.close(output_theirs)
        calls_theirs.close()
        if self.control:
            control_theirs.close()
        self.pidfd = _pidfd(self.pid)
        self.output_bytes = 0
        self.head = b""
        self.output_open = True
        os.set_blocking(self.output, False)
        # Trusted code reads this before it runs anything, so the write cannot be held up for long.
        wire.send_frame(self.calls.fileno(), wire.pack_parts(kind, [slot.scratch, *texts]))

    def drain(self) -> None:
        while self.output_open:
            try:
                data = os.read(self.output, PIPE_READ)
            except BlockingIOError:
                return
            self.output_open = bool(data)
            self.output_bytes += len(data)
            if len(self.head) < HEAD_BYTES:
                self.head += data[: HEAD_BYTES - len(self.head)]
            if len(data) < PIPE_READ:
                return

    def has_ended(self, patience_ms: int = 0) -> bool:
        """Whether it has ended by itself; it stays a zombie until `end`."""
        if self.pidfd is not None:
            return wire.readable(self.pidfd, patience_ms)
        if not self._zygote.has_ended(self.pid) and patience_ms:
            time.sleep(patience_ms / 1_000)
        return self._zygote.has_ended(self.pid)

    def end(self) -> tuple[int, int, int]:
        """Kill and reap it; (wait status, CPU ns, peak resident bytes)."""
        os.kill(self.pid, signal.SIGKILL)
        result = self._zygote.reap(self.pid)
        self.drain()
        os.close(self.output)
        if self.pidfd is not None:
            os.close(self.pidfd)
        self.calls.close()
        if self.control:
            self.control.close()
        return result
