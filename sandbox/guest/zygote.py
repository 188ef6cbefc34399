"""The zygote: a warm interpreter that forks judges and candidates. It never sees a program, a test or a value.

Requests arrive on the socket named on the command line, each one datagram with the child's descriptors attached; the
answer is the child's pid. Children stay zombies until the warden asks for them by pid, so a pid means one process for
as long as the warden uses it.

Every page that a child writes to is copied, which costs more than the system calls: so all that a child needs and that
holds no state is made here, once (modules, text streams), and the heap is frozen.
"""

from __future__ import annotations

# What solutions commonly import, imported once: `re` alone would cost a run more than all the rest of it.
import bisect  # noqa: F401
import collections  # noqa: F401
import copy  # noqa: F401
import functools  # noqa: F401
import gc
import heapq  # noqa: F401
import itertools  # noqa: F401
import json
import math  # noqa: F401
import operator  # noqa: F401
import os
import random
import re  # noqa: F401
import socket
import string  # noqa: F401
import sys
import typing
from typing import Any

from . import candidate, judge, lockdown, probe

MAX_REQUEST_BYTES = 65_536

ROLES = {"candidate": candidate.main, "judge": judge.main, "probe": probe.main}


def child(request: dict[str, Any], fds: list[int]) -> None:
    """Become what was asked for. Does not return."""
    status = 70
    try:
        stdout = fds.pop(0) if request["stdout"] else None
        lockdown.arrange_descriptors(stdout, fds)
        lockdown.set_limits(request["limits"])
        lockdown.become(request["uid"], request["oom_score_adj"])
        gc.enable()
        ROLES[request["role"]]()
        status = 0
    finally:
        os._exit(status)


def text_streams() -> None:
    """Streams for the children: never used here, so they hold no state of ours."""
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)


def main() -> None:
    sys.path[:] = [folder for folder in sys.path if folder != os.environ.get("PYTHONPATH")]
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    text_streams()
    os.environ.clear()
    sys.argv = ["solution"]
    random.seed(0)  # a solution that draws numbers draws the same ones in every run
    json.loads(json.dumps({"warm": [1, 2.5, None]}))
    typing.List[int]  # noqa: UP006  # fills the cache that annotations such as List[int] go through
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
