"""A coroutine at work in a thread and an event loop of its own, and what it hands out as a plain iterator.

So that plain code can wait for hundreds of streams at once, also where a loop is running already (a notebook).
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
Work = Callable[[Callable[[Item], None]], Coroutine[Any, Any, None]]


class _End:
    """The work is done, or broke."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def handed_out(work: Work[Item]) -> Generator[Item, None, None]:
    """What `work(put)` puts, as it does. Closed early or interrupted, the work is cancelled and waited for.

    To be closed by whoever may stop early (contextlib.closing): until then the work goes on. Raises what the work
    raises, after all that was put before; of a group of errors the first.
    """
    ready: queue.SimpleQueue[Item | _End] = queue.SimpleQueue()
    started = threading.Event()
    cancel: list[Callable[[], object]] = []

    async def supervise() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        started.set()
        await work(ready.put)

    def run() -> None:
        try:
            asyncio.run(supervise())
            ready.put(_End())
        except BaseException as error:  # handed to the thread that waits
            ready.put(_End(_first(error)))
        finally:
            started.set()

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        started.wait()
        with suppress(RuntimeError):  # the loop is closed: the work has ended by itself
            for stop in cancel:
                stop()
        thread.join()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
