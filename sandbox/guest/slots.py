"""A slot: the uid and the scratch folder that one candidate at a time has to itself, and how both are cleaned.

Several candidates are in flight in a container; each has its own slot, so that none can signal another, read another's
files, or use up what another is allowed (the kernel counts processes by uid, the scratch folder is a mount of its own).

Killing and emptying are done *as the slot's uid*, for a moment, by the warden itself: `kill(-1)` then reaches every
process of that uid and no other, in one step that a fork bomb cannot outrun, and no path inside the scratch folder can
make root touch anything. The saved uid stays 0, which is the way back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator

ATTEMPTS = 60  # to get rid of what a run left; the later ones wait a little
_PIDS_FILES = ("/sys/fs/cgroup/pids.current", "/sys/fs/cgroup/pids/pids.current")  # cgroup v2, v1


class Slot:
    """`index`, `uid` and `scratch` of one place for a candidate."""

    def __init__(self, index: int, uid: int) -> None:
        self.index, self.uid = index, uid
        self.scratch = f"/scratch/{index}"
        self._changed_ns = 0
        self.clean_files()

    @contextlib.contextmanager
    def _as_owner(self) -> Iterator[None]:
        os.setresuid(self.uid, self.uid, 0)
        try:
            yield
        finally:
            os.setresuid(0, 0, 0)

    def kill_all(self) -> None:
        """SIGKILL to every process of this uid. One call: the kernel holds off forks while it goes through the list."""
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: int) -> None:
        with self._as_owner(), contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(-1, number)

    def stop_all(self) -> None:
        """SIGSTOP to every process of this uid, in one step like the killing: none runs on while another is timed."""
        self._signal_all(signal.SIGSTOP)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Lets stopped processes of this uid go on for a while."""
        self._signal_all(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal_all(signal.SIGSTOP)

    def has_processes(self) -> bool:
        """Whether there is any process of this uid, zombies included. Exact on gVisor's kernel only: Linux answers the
        same where every process is out of the uid's reach."""
        with self._as_owner():
            try:
                os.kill(-1, 0)
            except ProcessLookupError:
                return False
            return True

    def used(self) -> bool:
        """Whether the scratch folder holds anything, or its own attributes were touched (a message can hide there)."""
        space = os.statvfs(self.scratch)  # gVisor counts no files: there the folder's own change tells
        return space.f_files - space.f_ffree > 1 or os.stat(self.scratch).st_ctime_ns != self._changed_ns

    def clean_files(self) -> None:
        with self._as_owner():
            os.chmod(self.scratch, 0o700)
            empty(self.scratch)
            with contextlib.suppress(OSError):  # a file system without extended attributes
                for name in os.listxattr(self.scratch):
                    os.removexattr(self.scratch, name)
        self._changed_ns = os.stat(self.scratch).st_ctime_ns


def empty(folder: str) -> None:
    """Remove everything in `folder`, without recursion and with two descriptors: folders are moved up before they are
    removed, so that no depth and no name matters. Nobody else may be at work in it."""
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    prefix, serial = os.urandom(12).hex(), 0
    try:
        while names := os.listdir(top):
            for name in names:
                if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
                    os.unlink(name, dir_fd=top)
                    continue
                os.chmod(name, 0o700, dir_fd=top)
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
                for child in os.listdir(inner):
                    if stat.S_ISDIR(os.lstat(child, dir_fd=inner).st_mode):
                        os.chmod(child, 0o700, dir_fd=inner)  # its ".." is about to change
                        serial += 1
                        os.rename(child, f"{prefix}{serial}", src_dir_fd=inner, dst_dir_fd=top)
                    else:
                        os.unlink(child, dir_fd=inner)
                os.close(inner)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


class Census:
    """Counts the container's processes: quickly by the cgroup's own count, surely by going through /proc, or, where
    there is none (gVisor), by asking whether a signal would reach anything."""

    def __init__(self) -> None:
        self._fd = -1
        self._has_proc = os.path.exists("/proc/self")
        for path in _PIDS_FILES:
            with contextlib.suppress(OSError):
                self._fd = os.open(path, os.O_RDONLY)
                break

    def tasks(self) -> int | None:
        """Processes and threads in the container, zombies included; None where the kernel does not say."""
        try:
            return int(os.pread(self._fd, 24, 0))
        except (OSError, ValueError):
            return None

    def left(self, slot: Slot, known: set[int]) -> list[str]:
        """What there still is of the slot's processes, once its candidate has been reaped."""
        if self._has_proc:
            return list(map(str, self.of_uid(slot.uid, known)))
        return ["of unknown number"] if slot.has_processes() else []

    def of_uid(self, uid: int, known: set[int]) -> list[int]:
        """Processes of that uid, zombies included, other than the known ones. None where there is no /proc."""
        if not self._has_proc:
            return []
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in known and _uid(name) == uid:
                found.append(int(name))
        return found

    @staticmethod
    def reap_orphans() -> None:
        """Children whose parent died come to process 1."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _uid(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/status", "rb") as stream:
            for line in stream:
                if line.startswith(b"Uid:"):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return -1


def clean(slot: Slot, census: Census, known: Callable[[], set[int]], own_tasks: int | None) -> str:
    """Nothing of a run is left: no process, no file. Returns what could not be removed, or nothing.

    known: our own processes. own_tasks: how many tasks the container has when only ours are left; None while other
    candidates, whose threads are not ours to count, are in flight.
    """
    left: list[str] = []
    for attempt in range(ATTEMPTS):
        census.reap_orphans()
        if own_tasks is None or census.tasks() != own_tasks:
            left = census.left(slot, known())
            if left or attempt == 0:
                slot.kill_all()
            if left:
                if attempt > 3:
                    time.sleep(0.002 * attempt)
                continue
        if not slot.used():
            return ""
        try:
            slot.clean_files()
        except OSError as error:
            return f"the scratch folder cannot be emptied: {error}"
    return f"left over: processes {', '.join(left)}" if left else "the scratch folder keeps changing"
