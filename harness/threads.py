"""Several generators at work at once, their items as one stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

Item = TypeVar("Item")


class _End:
    """A source has nothing left, or broke."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def merged(sources: Mapping[str, Iterable[Item]], stop: Callable[[], None]) -> Iterator[Item]:
    """Items of all sources as they become ready. Each is read in a thread of its own, which has its name.

    stop: makes the sources come to an end early; called at the end, at an error and at an early close, after which the
    threads are waited for. Raises what a source raises.
    """
    ready: queue.SimpleQueue[Item | _End] = queue.SimpleQueue()

    def read(source: Iterable[Item]) -> None:
        try:
            for item in source:
                ready.put(item)
            ready.put(_End())
        except BaseException as error:  # handed to the thread that waits
            ready.put(_End(error))

    threads = [threading.Thread(target=read, args=(source,), name=name) for name, source in sources.items()]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            item = ready.get()
            if not isinstance(item, _End):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                left -= 1
    finally:
        stop()
        for thread in threads:
            thread.join()
