"""Progress that a person can read: a live bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

PLAIN_INTERVAL_SECONDS = 10.0


class Task(Protocol):
    def advance(self, count: int = 1, note: str = "") -> None: ...


class Reporter(Protocol):
    """What a stage needs from its surroundings to tell how it is getting on."""

    def say(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def task(self, label: str, total: int, *, done: int = 0, unit: str = "") -> AbstractContextManager[Task]: ...


class SilentReporter:
    """For library use and tests."""

    def say(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    @contextmanager
    def task(self, label: str, total: int, *, done: int = 0, unit: str = "") -> Iterator[Task]:
        yield _SilentTask()


class _SilentTask:
    def advance(self, count: int = 1, note: str = "") -> None:
        pass


class ConsoleReporter:
    """Prints to standard error, so that standard output stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    @contextmanager
    def task(self, label: str, total: int, *, done: int = 0, unit: str = "") -> Iterator[Task]:
        if self.console.is_terminal:
            columns = (
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn(unit), TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )  # fmt: skip
            with RichProgress(*columns, console=self.console) as progress:
                yield _LiveTask(progress, label, total, done)
        else:
            task = _PlainTask(self, label, total, done, unit)
            yield task
            task.finish()


class _LiveTask:
    def __init__(self, progress: RichProgress, label: str, total: int, done: int) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total, completed=done, rate="", note="")
        self._start, self._count = time.monotonic(), 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self._count += count
        rate = self._count / max(time.monotonic() - self._start, 1e-9)
        self._progress.update(self._task, advance=count, rate=f"{rate:.1f}/s", note=note)


class _PlainTask:
    def __init__(self, reporter: ConsoleReporter, label: str, total: int, done: int, unit: str) -> None:
        self._reporter, self._label, self._total, self._unit = reporter, label, total, unit
        self._resumed, self._done = done, done
        self._start = self._last = time.monotonic()
        if total:
            resumed = f", {done} done before" if done else ""
            reporter.say(f"{label}: {total} {unit}{resumed}".rstrip())

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last >= PLAIN_INTERVAL_SECONDS:
            self._last = now
            self._line(now, note)

    def _line(self, now: float, note: str) -> None:
        rate = (self._done - self._resumed) / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate else float("inf")
        tail = f" · {note}" if note else ""
        count = f"{self._done}/{self._total} {self._unit}"
        self._reporter.say(f"{self._label}: {count} · {rate:.1f}/s · {left:.0f} s left{tail}")

    def finish(self) -> None:
        if self._total:
            elapsed = time.monotonic() - self._start
            self._reporter.say(f"{self._label}: {self._done}/{self._total} {self._unit} in {elapsed:.1f} s")
