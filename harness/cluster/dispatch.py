"""Which problem goes to which host, and what becomes of those whose host is gone. Pure bookkeeping."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

AHEAD = 8  # problems a slot that a host has at most: enough for turns, few enough to share out evenly
SUSPECT_AFTER = 2  # hosts that died with a problem, after which it goes to a host alone
MOST_ALONE = 2  # hosts that died while they had nothing else: then it is the problem


@dataclass(slots=True)
class _Host:
    slots: int
    kind: str  # its fingerprint: only blocks of the same are of use
    has: set[str] = field(default_factory=set)
    alone: bool = False  # it has a suspect, and gets nothing else


class Dispatch:
    """Problems (task_ids) to be handed out, and who has them.

    begun: the fingerprint of the host that a problem was begun on, where it was; it goes there if that host is here.
    """

    def __init__(self, problems: Iterable[str], begun: Mapping[str, str] | None = None) -> None:
        self._begun = dict(begun or {})
        self._lines: dict[str, deque[str]] = {}
        self._suspects: deque[str] = deque()
        self._hosts: dict[str, _Host] = {}
        self._deaths: Counter[str] = Counter()
        self._alone: Counter[str] = Counter()
        self.given_up: list[str] = []
        for task_id in problems:
            self._line_up(task_id)

    @property
    def finished(self) -> bool:
        return not self._left

    @property
    def _left(self) -> int:
        return self._waiting + sum(len(host.has) for host in self._hosts.values())

    @property
    def _waiting(self) -> int:
        return len(self._suspects) + sum(len(line) for line in self._lines.values())

    def join(self, name: str, *, slots: int, kind: str) -> None:
        self._hosts[name] = _Host(slots, kind)

    def has(self, name: str, task_id: str) -> bool:
        """Whether that host has it now: whatever another one says of it is out of date."""
        return name in self._hosts and task_id in self._hosts[name].has

    def take(self, name: str) -> list[str]:
        """What a host is to do next, beside what it has."""
        host = self._hosts[name]
        taken: list[str] = []
        while len(host.has) < self._share(host) and (task_id := self._next(host)) is not None:
            host.has.add(task_id)
            taken.append(task_id)
        return taken

    def done(self, name: str, task_id: str) -> None:
        host = self._hosts[name]
        host.has.discard(task_id)
        host.alone = host.alone and bool(host.has)

    def lost(self, name: str, begun: Mapping[str, str] | None = None) -> None:
        """The host is gone: what it had is to be done by others. begun: as above, of these problems."""
        host = self._hosts.pop(name)
        self._begun.update(begun or {})
        for task_id in sorted(host.has, reverse=True):
            self._deaths[task_id] += 1
            self._alone[task_id] += host.alone
            if self._alone[task_id] >= MOST_ALONE:
                self.given_up.append(task_id)
            elif self._deaths[task_id] >= SUSPECT_AFTER:
                self._suspects.append(task_id)
            else:
                self._line_up(task_id, first=True)

    def _line_up(self, task_id: str, *, first: bool = False) -> None:
        line = self._lines.setdefault(self._begun.get(task_id, ""), deque())
        if first:
            line.appendleft(task_id)
        else:
            line.append(task_id)

    def _share(self, host: _Host) -> int:
        """How many it may have: its part of all that is left, but no more than so many ahead."""
        if host.alone:
            return 1
        slots = sum(other.slots for other in self._hosts.values())
        return max(host.slots, min(AHEAD * host.slots, -(-self._left * host.slots // slots)))

    def _next(self, host: _Host) -> str | None:
        if self._suspects and not host.has:
            host.alone = True
            return self._suspects.popleft()
        here = {other.kind for other in self._hosts.values()}
        for kind in (host.kind, "", *(kind for kind in self._lines if kind not in here)):
            if line := self._lines.get(kind):
                return line.popleft()
        return None
