"""Two runs on one machine never share a core: whoever judges or times on one holds a lock on it for as long.

The lock is an exclusive flock on the kernel's own folder of the CPU, /sys/devices/system/cpu/cpuN: every user may open
it for reading, it is the same for all of them, nothing need be written, and it is gone with the process. All logical
CPUs of a physical core are locked together. Not seen: runs in containers with a network of their own, where the kernel
shows another instance of /sys.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.placement import Siblings, cpu_list, parse_cpu_list, physical_core

CPU_FOLDER = Path("/sys/devices/system/cpu")
LOCKS = Path("/proc/locks")

Say = Callable[[str], None]


def read_siblings(folder: Path = CPU_FOLDER) -> tuple[tuple[int, ...], ...] | None:
    """The logical CPUs of each physical core, as the kernel lists them; None where it does not."""
    cores = set()
    for path in folder.glob("cpu[0-9]*/topology/thread_siblings_list"):
        try:
            cores.add(parse_cpu_list(path.read_text().strip()))
        except (OSError, ValueError):  # a CPU that is just being switched off
            continue
    return tuple(sorted(core for core in cores if core)) or None


@contextmanager
def claim(
    cpus: Sequence[int],
    *,
    needed: Collection[int] = (),
    most: int | None = None,
    siblings: Siblings | None = None,
    say: Say = lambda _: None,
    warn: Say = lambda _: None,
    folder: Path = CPU_FOLDER,
) -> Iterator[tuple[int, ...]]:
    """Hold the free ones of these logical CPUs, with their siblings, while the block runs; yields them in order.

    needed: those of them that must be had. most: so many are enough. siblings: as `read_siblings` gives them.
    say: told which are left out because another run has them. warn: told where there is nothing to lock.
    Raises UserError, with the process that holds it as far as that can be known, if a needed one is taken or none is
    free.
    """
    with ExitStack() as locks:
        ours: list[int] = []
        taken: dict[int, int | None] = {}  # logical CPU → the process that has it, None where that is not known
        cores: dict[tuple[int, ...], _Attempt] = {}
        for cpu in cpus:
            if most is not None and len(ours) >= most:
                break
            core = physical_core(cpu, siblings)
            if core not in cores:
                cores[core] = _take(core, locks, folder)
            if cores[core].taken:
                taken[cpu] = cores[core].pid
            else:
                ours.append(cpu)
        missing = taken if not ours else {cpu: pid for cpu, pid in taken.items() if cpu in needed}
        if missing:
            raise UserError(_in_use(missing), fix="wait for it to end, or choose others: --cores and --timing_cores")
        if taken:
            say(f"{_in_use(taken)}; this one uses {cpu_list(ours)}")
        if problems := {core: attempt.problem for core, attempt in cores.items() if attempt.problem}:
            bare = cpu_list(cpu for core in problems for cpu in core)
            reason = next(iter(problems.values()))
            warn(f"cores {bare} can't be locked ({reason}): nothing keeps another run off them")
        yield tuple(ours)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of locking a physical core. With a problem there is nothing to lock, so it is used unlocked."""

    taken: bool = False
    pid: int | None = None
    problem: str = ""


def _take(core: Sequence[int], locks: ExitStack, folder: Path) -> _Attempt:
    """Lock all logical CPUs of a physical core, or none of them."""
    problem = ""
    with ExitStack() as held:
        for cpu in core:
            place = folder / f"cpu{cpu}"
            try:
                descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return _Attempt(taken=True, pid=_holder_of(descriptor))
            except OSError as error:
                problem = f"{place}: {error.strerror}"
        locks.push(held.pop_all())
    return _Attempt(problem=problem)


def _holder_of(descriptor: int) -> int | None:
    status = os.fstat(descriptor)
    try:
        text = LOCKS.read_text()
    except OSError:
        return None
    return find_holder(text, os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)


def find_holder(locks: str, major: int, minor: int, inode: int) -> int | None:
    """The process that /proc/locks (proc_locks(5)) names as holding a flock on that file; None where it names none.

    A process of another PID namespace is not listed, or has no number here.
    """
    for line in locks.splitlines():
        fields = line.split()
        if len(fields) < 6 or fields[1] != "FLOCK":  # "->" in its place: somebody who waits for it
            continue
        device_major, device_minor, number = fields[5].split(":")
        if (int(device_major, 16), int(device_minor, 16), int(number)) == (major, minor, inode):
            return int(fields[4]) if int(fields[4]) > 0 else None
    return None


def _in_use(taken: dict[int, int | None]) -> str:
    """ "cores 0-1 are in use by another run (process 4711)" """
    pids = sorted({pid for pid in taken.values() if pid is not None})
    named = f" (process{'es' if len(pids) > 1 else ''} {', '.join(map(str, pids))})" if pids else ""
    what = f"core {cpu_list(taken)} is" if len(taken) == 1 else f"cores {cpu_list(taken)} are"
    return f"{what} in use by {'other runs' if len(pids) > 1 else 'another run'}{named}"
