"""The zygote: a warm interpreter that forks candidates, or one that forks judges. It never sees a program, a test or a
value.

Requests arrive on the socket named on the command line, each one datagram with the child's descriptors attached; the
answer is the child's pid. Children stay zombies until the warden asks for them by pid, so a pid means one process for
as long as the warden uses it.

What a fork costs is pages: those that are there are mapped again, those that the child writes to are copied, and that
is most of what a run costs. So all that a child needs and that holds no state is made here, once (modules, streams,
limits), nothing else is loaded, and the heap is frozen.
"""

from __future__ import annotations

import array
import gc
import json
import os
import sys
from typing import Any

import _socket

from . import lockdown

MAX_REQUEST_BYTES = 4_096
CONTROL_FD = lockdown.MAX_FILES - 1
# What solutions commonly import, besides what the roles need: `re` or `typing` alone would cost a run more than all the
# rest of it. Not `random`: it seeds itself anew in every fork.
COMMON = ("bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "re", "string", "typing")


def child(role: Any, request: list[int], descriptors: int) -> None:
    """Become what was asked for. Does not return."""
    status = 70
    try:
        uid, cpu_seconds, processes, open_files = request
        lockdown.arrange_descriptors(descriptors, output=descriptors > 1)
        lockdown.become(uid, cpu_seconds, processes, open_files)
        gc.enable()
        role()
        status = 0
    finally:
        os._exit(status)


def candidate_role() -> Any:
    """Text streams and modules for solutions. The streams are never used here, so they hold no state of ours."""
    from . import candidate

    for name in COMMON:
        __import__(name)
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
    sys.argv = ["solution"]
    candidate.warm_up()
    return candidate.main


def judge_role() -> Any:
    from . import judge

    return judge.main


def probe_role() -> None:
    from . import probe  # once per container: not worth every candidate's memory

    probe.main()


def receive(control: _socket.socket) -> tuple[bytes, list[int]]:
    """A datagram and the descriptors that came with it (socket.recv_fds, without that module)."""
    fds = array.array("i")
    message, ancillary, _, _ = control.recvmsg(MAX_REQUEST_BYTES, _socket.CMSG_LEN(8 * fds.itemsize))
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return message, list(fds)


def main() -> None:
    _, given, kind = sys.argv
    os.dup2(int(given), CONTROL_FD, inheritable=False)
    os.closerange(3, CONTROL_FD)
    control = _socket.socket(fileno=CONTROL_FD)
    role = candidate_role() if kind == "candidates" else judge_role()
    sys.path[:] = [folder for folder in sys.path if folder != os.environ.get("PYTHONPATH")]
    os.environ.clear()
    lockdown.prepare(json.loads(control.recv(MAX_REQUEST_BYTES)))
    gc.collect()
    gc.disable()
    gc.freeze()
    while True:
        message, fds = receive(control)
        if not message:
            return
        operation, *request = json.loads(message)
        if operation == "reap":
            _, status, usage = os.wait4(request[0], 0)
            answer = [status, int((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_maxrss * 1024]
        else:
            pid = os.fork()
            if pid == 0:
                child(probe_role if operation == "probe" else role, request, len(fds))
            for fd in fds:
                os.close(fd)
            answer = [pid]
        control.send(json.dumps(answer).encode("ascii"))


if __name__ == "__main__":
    main()
