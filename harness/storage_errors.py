"""What a disk or a folder that can't be written means to the person at the keyboard: one place that knows the words.

Standard library only: the command line looks here before it has loaded anything.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError

AGAIN = "and run the same command again: what is finished stays, and it goes on from there"
_FAULTS = {
    errno.ENOSPC: ("the disk is full", f"make room {AGAIN}"),
    errno.EDQUOT: ("your share of the disk (quota) is used up", f"make room {AGAIN}"),
    errno.EFBIG: ("the file has reached the largest size allowed (ulimit -f)", f"raise that limit {AGAIN}"),
    errno.EROFS: ("this file system is read-only", f"have it mounted for writing {AGAIN}; or give another --root"),
    errno.EACCES: ("this user may not do that here", f"change the owner or the mode {AGAIN}; or give another --root"),
    errno.EPERM: ("this user may not do that here", f"change the owner or the mode {AGAIN}; or give another --root"),
    errno.EIO: ("the disk reports an error", f"see what the system's log says of it, mend it {AGAIN}"),
    errno.ESTALE: ("the network drive has lost this file", f"look at the mount {AGAIN}"),
}
# Libraries that write files in another language hand on the system's words, or only that writing failed.
_WORDS = {os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)}
_TORCH_WRITER = "inline_container.cc"


def storage_error(error: BaseException, path: Path | str | None = None) -> UserError | None:
    """What to tell of a failure to read or write a file; None where that is not what it is.

    path: the file that was worked on, unless the error names one itself.
    """
    if isinstance(error, UserError):
        return None
    number = getattr(error, "errno", None) or _number_in(error)
    if number not in _FAULTS:
        return None
    what, fix = _FAULTS[number]
    place = getattr(error, "filename", None) or path
    return UserError(what, where=_where(Path(os.fsdecode(place)), number) if place else "", fix=fix)


def _number_in(error: BaseException) -> int | None:
    text = str(error)
    if isinstance(error, RuntimeError) and _TORCH_WRITER in text and "unexpected pos" in text:
        return errno.ENOSPC  # all that torch says when a file of it comes out shorter than what it wrote
    return next((number for words, number in _WORDS.items() if words in text), None)


def _where(path: Path, number: int) -> str:
    """The file; for a full disk also how much room is left there."""
    if number not in (errno.ENOSPC, errno.EDQUOT):
        return str(path)
    there = next((folder for folder in (path, *path.absolute().parents) if folder.exists()), None)
    if there is None:
        return str(path)
    usage = shutil.disk_usage(there)
    return f"{path} ({usage.free / 1e6:,.1f} of {usage.total / 1e6:,.1f} MB are free)"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raise UserError, with this file or folder unless the system names another, for what `storage_error` knows."""
    try:
        yield
    except Exception as error:
        if told := storage_error(error, path):
            raise told from error
        raise
