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

import _socket
import gc
import os
import struct
import sys

from . import codec, lockdown

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from collections.abc import Callable

    Role = Callable[[], None]

# Requests: what to do and four numbers (spawn: uid, CPU seconds, processes, open files; else: pid). Answers: three.
REQUEST, ANSWER = struct.Struct(">c4I"), struct.Struct(">3q")
SPAWN, PROBE, REAP, LOOK = b"S", b"P", b"R", b"L"
HAS_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
CONTROL_FD = lockdown.MAX_FILES - 1
LEAN, FULL, JUDGES = KINDS = ("candidates", "candidates-with-modules", "judges")
# What solutions commonly import: `re` or `typing` alone would cost a run more than all the rest of it. Not `random`: it
# seeds itself anew in every fork.
COMMON = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "re", "string", "typing",
)  # fmt: skip


def kind_for(program: str) -> str:
    """The kind of zygote that serves a program soonest: one that imports nothing need not inherit modules. Nothing but
    time depends on it."""
    return FULL if "import" in program else LEAN


def candidate_role(modules: tuple[str, ...]) -> Role:
    """Text streams and modules for solutions. The streams are never used here, so they hold no state of ours."""
    from . import candidate

    for name in modules:
        __import__(name)
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
    sys.argv = ["solution"]
    candidate.warm_up()
    return candidate.main


def judge_role() -> Role:
    from . import judge

    judge.warm_up()
    return judge.main


def probe_role() -> None:
    from . import probe  # once per container: not worth every candidate's memory

    probe.serve()


def main() -> None:
    _, given, kind = sys.argv
    os.dup2(int(given), CONTROL_FD, inheritable=False)
    os.closerange(lockdown.FIRST_FD, CONTROL_FD)
    control = _socket.socket(fileno=CONTROL_FD)
    role = judge_role() if kind == JUDGES else candidate_role(COMMON if kind == FULL else ())
    sys.path[:] = [folder for folder in sys.path if folder != os.environ.get("PYTHONPATH")]
    os.environ.clear()
    lockdown.prepare(codec.decode(control.recv(4_096)))
    gc.collect()
    gc.disable()
    gc.freeze()
    serve(control, role)


def serve(control: _socket.socket, role: Role) -> None:
    """One function, few objects: between two forks every page written to here is copied as well."""
    room = _socket.CMSG_LEN(12)
    while True:
        message, ancillary, _, _ = control.recvmsg(REQUEST.size, room)
        if not message:
            return
        operation, first, cpu_seconds, processes, open_files = REQUEST.unpack(message)
        if operation == REAP:
            _, status, usage = os.wait4(first, 0)
            control.send(ANSWER.pack(status, int((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_maxrss << 10))
            continue
        if operation == LOOK:
            control.send(ANSWER.pack(os.waitid(os.P_PID, first, HAS_ENDED) is not None, 0, 0))
            continue
        pid = os.fork()
        if pid == 0:
            try:
                # The descriptors that came with the request have the lowest free numbers: 3, 4, …
                lockdown.arrange_descriptors(len(ancillary[0][2]) // 4)
                lockdown.become(first, cpu_seconds, processes, open_files)
                gc.enable()
                (probe_role if operation == PROBE else role)()
            except BaseException:
                os._exit(70)
            os._exit(0)
        os.closerange(lockdown.FIRST_FD, CONTROL_FD)
        control.send(ANSWER.pack(pid, 0, 0))

