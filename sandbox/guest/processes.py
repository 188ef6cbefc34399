"""The warden's side of the other roles: the zygote that forks them, the judge, the candidate."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from . import wire

JUDGE_UID = 10_001
HEAD_BYTES = 2_048  # of the candidate's output, kept for people
PIPE_READ = 1 << 16
JUDGE_LIMITS = {"memory_bytes": 1 << 30, "file_bytes": 0, "open_files": 64, "processes": 64, "cpu_seconds": 1 << 30}

_now = time.monotonic_ns


class Broken(Exception):
    """Something of ours does not work: the host retires this container."""


class BrokenTest(Exception):
    """The data set's test cannot be used: no other container would do better."""


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
