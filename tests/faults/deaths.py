"""Ways for a command to die at a point that can be told beforehand, and so be met again.

EVENT: SIGKILL just before the process opens for writing, makes, renames, cuts, locks or removes something under a
folder for the k-th time (Python's own audit events). BYTES: the kernel ends the process in the write that would make
a file longer than n bytes: what is below is written, so that a torn row is left, or a torn weight, whatever library
writes. Between two such points nothing on the disk changes.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Which argument says what a name is relative to.
_FOLDER_ARGUMENT = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 2}


class How(StrEnum):
    EVENT = "event"
    BYTES = "bytes"
    STOP = "stop"  # as EVENT, but with SIGSTOP: the process can go on
    NEVER = "never"  # only count the events


@dataclass(frozen=True, slots=True)
class Death:
    """at: which event, from 1; or so many bytes of a file. under: where events count."""

    how: str
    at: int
    under: str

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def arm(death: Death, count_file: Path) -> None:
    """Have this process die so. The number of events is written to `count_file` if it ends by itself."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if death.how == How.BYTES:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores
        resource.setrlimit(resource.RLIMIT_FSIZE, (death.at, death.at))
        return
    seen, owner = 0, os.getpid()
    at = death.at if death.how in (How.EVENT, How.STOP) else -1
    blow = signal.SIGSTOP if death.how == How.STOP else signal.SIGKILL

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if changes(event, arguments, death.under) and os.getpid() == owner:
            seen += 1
            if seen == at:
                os.kill(owner, blow)

    sys.addaudithook(watch)
    atexit.register(lambda: count_file.write_text(str(seen)))


def changes(event: str, arguments: tuple[Any, ...], under: str) -> bool:
    """Whether an audit event is about to change something in that folder."""
    if event == "open":
        path, _, flags = arguments
        return bool(flags & _WRITING) and _place(path).startswith(under)
    if event in _FOLDER_ARGUMENT:
        return _place(arguments[0], arguments[_FOLDER_ARGUMENT[event]]).startswith(under)
    if event in ("os.truncate", "fcntl.flock"):
        return _place(arguments[0]).startswith(under)
    return False


def _place(path: Any, folder: int = -1) -> str:
    try:
        if isinstance(path, int):
            return os.readlink(f"/proc/self/fd/{path}")
        name = os.fsdecode(path)
        base = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else ""
    except (OSError, TypeError):
        return ""
    return str(Path(base, name).absolute())
