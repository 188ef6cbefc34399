"""The zygote: a warm interpreter that forks judges and candidates. It never sees a program, a test or a value.

Requests arrive on the socket named on the command line, each one datagram with the child's descriptors attached; the
answer is the child's pid. Children stay zombies until the warden asks for them by pid, so a pid means one process for
as long as the warden uses it.
"""

from __future__ import annotations

# Imported here, once, so that every child has them already: what solutions commonly import, and what the roles need.
import bisect  # noqa: F401
import gc
import itertools  # noqa: F401
import json
import os
import signal
import socket
import sys
from typing import Any

from . import candidate, judge, lockdown

MAX_REQUEST_BYTES = 65_536


def child(request: dict[str, Any], fds: list[int]) -> None:
    """Become what was asked for. Does not return."""
    status = 70
    try:
        stdout = fds.pop(0) if request["stdout"] else None
        lockdown.arrange_descriptors(stdout, fds)
        lockdown.set_limits(request["limits"])
        lockdown.become(request["uid"], request["oom_score_adj"])
        if request["role"] == "sweeper":
            sweep()
        else:
            # Text streams of its own: the zygote's may hold its state.
            sys.stdin = open(0)
            sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace")
            sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace")
            gc.enable()
            (judge.main if request["role"] == "judge" else candidate.main)()
        status = 0
    finally:
        os._exit(status)


def sweep() -> None:
    """As the candidate's uid: kill all that is left of it, then empty its scratch folder."""
    for _ in range(100):  # more than once: a fork bomb may be forking while it is killed
        try:
            os.kill(-1, signal.SIGKILL)  # every process of this uid but this one
        except ProcessLookupError:
            break
    empty("/scratch")


def empty(folder: str) -> None:
    """Remove everything in `folder`, without recursion, through descriptors: no path is long or clever enough."""
    stack = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY)]
    names: list[str] = []
    while stack:
        entry = next(iter(os.listdir(stack[-1])), None)
        if entry is None:
            os.close(stack.pop())
            if stack:
                os.rmdir(names.pop(), dir_fd=stack[-1])
            continue
        try:
            os.unlink(entry, dir_fd=stack[-1])
        except (IsADirectoryError, PermissionError):
            os.chmod(entry, 0o700, dir_fd=stack[-1])
            stack.append(os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=stack[-1]))
            names.append(entry)


def main() -> None:
    sys.path[:] = [folder for folder in sys.path if folder != os.environ.get("PYTHONPATH")]
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    gc.collect()
    gc.disable()
    gc.freeze()
    while True:
        message, fds, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 8)
        if not message:
            return
        request = json.loads(message)
        if request["op"] == "reap":
            _, status, usage = os.wait4(request["pid"], 0)
            answer = [status, int((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_maxrss * 1024]
        else:
            pid = os.fork()
            if pid == 0:
                control.close()
                child(request, list(fds))
            for fd in fds:
                os.close(fd)
            answer = [pid]
        control.send(json.dumps(answer).encode("ascii"))


if __name__ == "__main__":
    main()
