"""The host side's scheduler: tasks in, answers out, one container a core, all of it in one thread's event loop.

Each container is given several requests ahead, so that neither side waits for the other; answers come back in the order
in which runs end. A container that breaks is replaced. Who broke it? With several tasks in flight nobody knows, so each
of them is tried again with a container to itself: only a task that breaks containers which it has to itself is given
up, and then the fault is ours (INTERNAL), not the solution's.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

import docker
import requests

from sandbox.container import ContainerSpec, WardenContainer
from sandbox.errors import LockdownError, SandboxError
from sandbox.stream import EngineStream, StreamError, frame
from sandbox.verdict import OUT_OF_MEMORY

DEPTH = 32  # requests that a container is given ahead
REFILL = 16  # it is given more when so few are left: fewer, larger writes
ATTEMPTS = 3  # of a task with a container to itself
START_ATTEMPTS = 3
ENGINE_SECONDS = 60.0  # to wait for an engine that went away (a restart) before giving up
WATCH_SECONDS = 1.0
MIN_INTERNAL = 10  # so few faults of ours are never too many

Answer = dict[str, Any]


@dataclass(slots=True, eq=False)
class Task:
    """One request and who waits for its answer.

    finish: makes the result of an answer and the number of attempts. patience: seconds without any answer from its
    container after which that is given up.
    """

    request: dict[str, Any]
    finish: Callable[[Answer, int], Any]
    patience: float
    future: Future[Any] = field(default_factory=Future)
    attempts: int = 0  # containers that it was given to
    alone: bool = False  # it was in flight when a container broke
    failures: int = 0  # containers that broke while it had them to itself

    def settle(self, answer: Answer) -> None:
        with contextlib.suppress(InvalidStateError):  # nobody waits any more
            self.future.set_result(self.finish(answer, self.attempts))

    def fail(self, error: BaseException) -> None:
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)


class Pool:
    """The workers, their queue, and the thread that they live in."""

    def __init__(
        self,
        client: docker.DockerClient,
        specs: Sequence[ContainerSpec],
        *,
        recycle_after: int,
        internal_limit: float,
    ) -> None:
        self.client, self.recycle_after = client, recycle_after
        self._internal_limit = internal_limit
        self.queue: deque[Task] = deque()
        self.suspects: deque[Task] = deque()
        self.finished = self.internal = 0
        self._incoming: deque[tuple[Task, int | None]] = deque()
        self._woken = False
        self._error: SandboxError | None = None
        self._loop = asyncio.new_event_loop()
        self.workers = {spec.core: Worker(self, spec) for spec in specs}
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)

    # ---- called from any thread ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all containers. Raises SandboxError if one does not come up as it should."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    def submit(self, task: Task, core: int | None = None) -> Future[Any]:
        """core: the only one that may do it; default: whichever has room."""
        if self._error:
            raise self._error
        self._incoming.append((task, core))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._take_in)
        return task.future

    def forget_cancelled(self) -> None:
        """Throw containers away that work only for results which nobody wants any more."""
        for worker in self.workers.values():
            self._loop.call_soon_threadsafe(worker.forget_cancelled)

    def close(self) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    # ---- in the loop's thread --------------------------------------------------------------------------------------

    async def _start(self) -> None:
        starts = [worker.start() for worker in self.workers.values()]
        failed = [error for error in await asyncio.gather(*starts, return_exceptions=True) if error]
        if failed:
            raise failed[0]
        for worker in self.workers.values():
            worker.task = asyncio.create_task(worker.work())

    async def _close(self) -> None:
        self.fail(SandboxError("the sandbox is closed"))
        await asyncio.gather(*(worker.close() for worker in self.workers.values()))
        await self._loop.shutdown_default_executor()

    def _take_in(self) -> None:
        self._woken = False
        while self._incoming:
            task, core = self._incoming.popleft()
            if self._error:
                task.fail(self._error)
            else:
                (self.queue if core is None else self.workers[core].pinned).append(task)
        self.offer()

    def offer(self) -> None:
        """Let every worker with room take what there is."""
        for worker in self.workers.values():
            worker.fill()

    def next_task(self, worker: Worker, in_flight: int) -> Task | None:
        """What a worker may begin; None where there is nothing, or where it has to become idle first."""
        for own in (worker.pinned, self.suspects):
            while own and own[0].future.cancelled():
                own.popleft()
            if own:
                return own.popleft() if not in_flight else None
        while self.queue:
            task = self.queue.popleft()
            if not task.future.cancelled():
                return task
        return None

    def give_back(self, tasks: Sequence[Task], problem: str | None, worker: Worker) -> None:
        """What was in flight in a container that is no more; `problem`: how it broke, None if it was just replaced."""
        for task in tasks:
            if task.future.cancelled():
                continue
            if problem is not None:
                task.failures += len(tasks) == 1
                task.alone = True
            if task.failures >= ATTEMPTS:
                self._count_internal(problem or "")
                task.settle({"internal": problem})
            elif task in worker.blocks:
                worker.pinned.appendleft(task)
            elif task.alone:
                self.suspects.append(task)
            else:
                self.queue.appendleft(task)
        self.offer()

    def _count_internal(self, problem: str) -> None:
        self.internal += 1
        if self.internal >= MIN_INTERNAL and self.internal > self._internal_limit * (self.finished + self.internal):
            self.fail(
                SandboxError(
                    f"{self.internal} of {self.finished + self.internal} runs came to nothing, the last one because: "
                    f"{problem}",
                    fix="`code-optimise doctor --sandbox` tells what is wrong with this machine or engine",
                )
            )

    def fail(self, error: SandboxError) -> None:
        """Nothing more can be run: everybody who waits is told, and everybody who comes."""
        self._error = self._error or error
        self.fail_waiting(self._error)

    def fail_waiting(self, error: SandboxError) -> None:
        """No container can be had at present. Whoever comes later may try again."""
        waiting = [*self.queue, *self.suspects]
        self.queue.clear()
        self.suspects.clear()
        for worker in self.workers.values():
            waiting += [*worker.pinned, *worker.in_flight()]
            worker.pinned.clear()
        for task in waiting:
            task.fail(error)


class Worker:
    """One core: its container, replaced when it is used up or has misbehaved."""

    def __init__(self, pool: Pool, spec: ContainerSpec) -> None:
        self._pool, self.spec = pool, spec
        self.pinned: deque[Task] = deque()
        self.blocks: set[Task] = set()  # tasks that no other worker may do
        self.task: asyncio.Task[None] | None = None
        self._container: WardenContainer | None = None
        self._session: Session | None = None
        self._wanted = asyncio.Event()
        self._closing = False

    def in_flight(self) -> list[Task]:
        return list(self._session.in_flight.values()) if self._session else []

    def fill(self) -> None:
        if self._session:
            self._session.fill()
        elif self.pinned or self._pool.queue or self._pool.suspects:
            self._wanted.set()

    def forget_cancelled(self) -> None:
        tasks = self.in_flight()
        if self._session and tasks and all(task.future.cancelled() for task in tasks):
            self._session.end(None)

    async def work(self) -> None:
        """Until the pool closes: a container, its session, the next container."""
        try:
            while not self._closing:
                if self._container is None:
                    await self._wanted.wait()
                    self._wanted.clear()
                    try:
                        await self.start()
                    except SandboxError as error:
                        self._pool.fail_waiting(error)
                        continue
                await self._serve()
        except Exception as error:  # a fault in this file must not leave everybody waiting
            self._pool.fail(SandboxError(f"the sandbox's scheduler broke: {type(error).__name__}: {error}"))
            raise

    async def _serve(self) -> None:
        assert self._container is not None
        loop = asyncio.get_running_loop()
        session = Session(self._pool, self)
        self._container.socket.setblocking(False)
        await loop.create_connection(lambda: session, sock=self._container.socket)
        self._session = session
        session.fill()
        problem = await session.ended
        self._session = None
        left = list(session.in_flight.values())
        if problem is not None and await self._ran_out_of_memory(left):
            left.pop().settle(OUT_OF_MEMORY)
        await self._remove()
        self.blocks.update(task for task in left if task.request["op"] == "block")
        self._pool.give_back(left, problem, self)
        self.blocks.clear()
        self.fill()

    async def _ran_out_of_memory(self, left: Sequence[Task]) -> bool:
        """Whether the one run that had the container to itself used up its memory. Under Linux the kernel picks the
        candidate, and the warden says so; gVisor's goes as a whole."""
        if not (self.spec.gvisor and self._container and [task.alone for task in left] == [True]):
            return False
        if left[0].request["op"] != "run":
            return False
        return await asyncio.to_thread(self._container.ran_out_of_memory)

    async def start(self) -> None:
        """Start a container. Raises SandboxError; waits for an engine that is away for a while."""
        begin = time.monotonic()
        for attempt in range(1, 1_000):
            try:
                self._container = await asyncio.to_thread(WardenContainer, self._pool.client, self.spec)
                return
            except LockdownError:
                raise
            except SandboxError:
                if attempt >= START_ATTEMPTS:
                    raise
            except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
                if time.monotonic() - begin > ENGINE_SECONDS or self._closing:
                    raise SandboxError(
                        f"the engine is gone: {error}", fix="start it again and run the same command: it goes on"
                    ) from error
            await asyncio.sleep(min(0.2 * attempt, 2.0))

    async def _remove(self) -> None:
        container, self._container = self._container, None
        if container:
            await asyncio.to_thread(container.close)

    async def close(self) -> None:
        self._closing = True
        if self._session:
            self._session.end(None)
        if self.task:
            self._wanted.set()
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, SandboxError):
                await self.task
        await self._remove()


class Session(asyncio.Protocol):
    """The conversation with one container's warden, from its first request until it is replaced."""

    def __init__(self, pool: Pool, worker: Worker) -> None:
        self._pool, self._worker = pool, worker
        self.in_flight: dict[int, Task] = {}
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._stream = EngineStream()
        self._runs = 0
        self._last_id = 0
        self._leaving = False
        self._heard = time.monotonic()
        self._watch = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(f"the container ended{self._stream.last_words()}")

    def data_received(self, data: bytes) -> None:
        if self.ended.done():
            return
        self._heard = time.monotonic()
        try:
            for answer in self._stream.feed(data):
                self._answered(answer)
        except (StreamError, KeyError, TypeError, ValueError, AttributeError) as error:
            self.end(f"the container broke the protocol: {type(error).__name__}: {error}")
        self.fill()

    def fill(self) -> None:
        """Give the container what it has room for; end the session where it is to be replaced and has nothing left."""
        if self.ended.done() or self._transport is None:
            return
        if self._leaving:
            if not self.in_flight:
                self.end(None)
            return
        if len(self.in_flight) > REFILL:
            return
        batch = []
        while len(self.in_flight) < DEPTH and not any(task.alone for task in self.in_flight.values()):
            task = self._pool.next_task(self._worker, len(self.in_flight))
            if task is None:
                break
            if not self.in_flight:
                self._heard = time.monotonic()
            self._last_id += 1
            task.attempts += 1
            self.in_flight[self._last_id] = task
            batch.append(frame(task.request | {"id": self._last_id, "alone": task.alone}))
        if batch:
            self._transport.write(b"".join(batch))

    def _answered(self, answer: Answer) -> None:
        if self.ended.done():
            return
        task = self.in_flight[int(answer["id"])]
        if "internal" in answer:
            # The task stays in flight: it shares the blame only with those that were there.
            self.end(str(answer["internal"]) + self._stream.last_words())
            return
        task.settle(answer)  # raises where the answer is not as it should be
        del self.in_flight[int(answer["id"])]
        self._pool.finished += 1
        self._runs += 1
        facts = answer.get("timings", [answer])
        if any(one.get("dirty") for one in facts):
            self.end(None)
        elif self._runs >= self._pool.recycle_after or any(_violation(one) for one in facts):
            self._leaving = True

    def _look(self) -> None:
        """Whether the container has fallen silent."""
        if self.ended.done():
            return
        patience = max((task.patience for task in self.in_flight.values()), default=0.0)
        if self.in_flight and time.monotonic() - self._heard > patience:
            self.end(f"the container gave no answer in {patience:.0f} s{self._stream.last_words()}")
        else:
            self._watch = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._look)

    def end(self, problem: str | None) -> None:
        if not self.ended.done():
            self.ended.set_result(problem)
            self._watch.cancel()
            if self._transport:
                self._transport.abort()


def _violation(facts: Answer) -> bool:
    """Something that no honest run does: its container is not used for long."""
    report = facts.get("report", {})
    return isinstance(report, dict) and report.get("outcome") == "violation"
