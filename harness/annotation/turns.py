"""Which problem a core takes next, with a bounded number of problems begun at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

WINDOW = 64  # problems a core that are begun and not done: their blocks lie far enough apart, and fit into memory

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Each core has a line of problems that take turns on it. Screening stays on the core that a problem was dealt to;
    for confirmation it moves to the next core. All methods may be called from several threads."""

    def __init__(self, cores: Sequence[int], window: int = WINDOW) -> None:
        self._cores = list(cores)
        self._most = window * len(cores)
        self._lines: dict[int, deque[Item]] = {core: deque() for core in cores}
        self._home: dict[int, int] = {}  # id of a problem that is begun → the core that has it
        self._moved: set[int] = set()
        self._closed = self._stopped = False
        self._change = threading.Condition()

    def fill(self, items: Iterable[Item | None]) -> None:
        """Deal problems out as there is room for them; returns when all are dealt, or the turns are stopped.

        None among them: there is none at present. Who waits for problems says so now and then, so that this can end.
        """
        for item in items:
            if self._stopped or (item is not None and not self._deal(item)):
                return
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _deal(self, item: Item) -> bool:
        with self._change:
            while len(self._home) >= self._most and not self._stopped:
                self._change.wait()
            if not self._stopped:
                held = list(self._home.values())
                core = min(self._cores, key=held.count)
                self._home[id(item)] = core
                self._lines[core].append(item)
                self._change.notify_all()
            return not self._stopped

    def take(self, core: int) -> Item | None:
        """The next problem of this core, waiting for one that may still come here; None: there is nothing left."""
        with self._change:
            while not self._lines[core] and not self._stopped and (self._home or not self._closed):
                self._change.wait()
            return self._lines[core].popleft() if self._lines[core] and not self._stopped else None

    def back(self, core: int, item: Item) -> None:
        with self._change:
            self._lines[core].append(item)
            self._change.notify_all()

    def move(self, core: int, item: Item) -> bool:
        """Hand it to the next core, once; False where it is to stay."""
        with self._change:
            if len(self._cores) < 2 or id(item) in self._moved:
                return False
            self._moved.add(id(item))
            following = self._cores[(self._cores.index(core) + 1) % len(self._cores)]
            self._home[id(item)] = following
            self._lines[following].append(item)
            self._change.notify_all()
            return True

    def done(self, item: Item) -> None:
        with self._change:
            del self._home[id(item)]
            self._moved.discard(id(item))
            self._change.notify_all()

    def stop(self) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()
