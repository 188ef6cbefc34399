"""`Sandbox`: solutions in, executions and timings out. One container per core; results in input order."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import docker

from sandbox import verdict
from sandbox.container import ContainerSpec, allowed_cores, remove_leftovers
from sandbox.engine import connect, is_gvisor, maps_users
from sandbox.errors import ImageError
from sandbox.image import find_image
from sandbox.pool import Pool, Task
from sandbox.reference import REFERENCE, REFERENCE_LOOPS
from sandbox.types import Block, BlockTiming, Execution, Integrity, Job, Limits, Termination, Timing, Verdict

GRACE_SECONDS = 30.0  # beyond what the warden itself allows a run
WALL_CAP = 5  # the warden's own bound on a run, in wall limits (guest/run.py)
UNFINISHED_PER_CORE = 64  # jobs handed out and not finished: bounds memory whatever their number
WAITING_PER_CORE = 8_192  # executions that may wait for an earlier one: a job that sleeps must not hold up the rest


class Sandbox:
    """Runs untrusted programs. Use as a context manager; everything it started is removed at the end.

    cores: CPU numbers, one container each (default: all that this process may use).
    runtime: the engine's runtime, e.g. "runsc" (default: the engine's own default).
    recycle_after: runs after which a container is replaced.
    internal_limit: the share of runs that may come to nothing through a fault of ours before SandboxError is raised.
    Raises SandboxError (with the fix) if the engine, the image or any part of the lock-down is missing.
    All methods may be called from several threads.
    """

    def __init__(
        self,
        *,
        cores: Sequence[int] | None = None,
        limits: Limits | None = None,
        runtime: str | None = None,
        recycle_after: int = 5_000,
        internal_limit: float = 0.05,
    ) -> None:
        self.cores = list(cores) if cores is not None else allowed_cores()
        self.limits = limits or Limits()
        self.runtime = runtime
        self._recycle_after, self._internal_limit = recycle_after, internal_limit
        self._pool: Pool | None = None

    def __enter__(self) -> Self:
        self._client: docker.DockerClient = connect()
        try:
            image = find_image(self._client)
            if image is None:
                raise ImageError(
                    "the sandbox image is not built, or the sources have changed since",
                    fix="`make setup` (or `python -m sandbox image build`)",
                )
            self.image = image
            remove_leftovers(self._client)
            small, gvisor = maps_users(self._client), is_gvisor(self._client, self.runtime)
            specs = [ContainerSpec(image.id, core, self.limits, self.runtime, small, gvisor) for core in self.cores]
            self._pool = Pool(
                self._client, specs, recycle_after=self._recycle_after, internal_limit=self._internal_limit
            )
            self._pool.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._pool:
            self._pool.close()
            self._pool = None
        self._client.close()

    # ---- verdicts --------------------------------------------------------------------------------------------------

    def run(self, job: Job) -> Execution:
        """Judge one solution."""
        execution: Execution = self._submit(job).result()
        return execution

    async def run_async(self, job: Job) -> Execution:
        """`run` for use under asyncio."""
        execution: Execution = await asyncio.wrap_future(self._submit(job))
        return execution

    def run_many(self, jobs: Iterable[Job]) -> Iterator[Execution]:
        """Judge solutions on all cores; results in input order, as they become ready. Jobs are read as needed."""
        pending: deque[Future[Execution]] = deque()
        finished: queue.SimpleQueue[None] = queue.SimpleQueue()
        unfinished = 0
        source: Iterator[Job] | None = iter(jobs)
        try:
            while True:
                while source and unfinished < self._most_unfinished and len(pending) < self._most_waiting:
                    job = next(source, None)
                    if job is None:
                        source = None
                        break
                    future = self._submit(job)
                    pending.append(future)
                    unfinished += 1
                    future.add_done_callback(lambda _: finished.put(None))
                if not pending and source is None:
                    return
                if pending and pending[0].done():
                    yield pending.popleft().result()
                    continue
                finished.get()  # a result further on, maybe: then there is room for another job
                unfinished -= 1
        finally:
            self._drop(pending)

    async def run_many_async(self, jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Execution]:
        """`run_many` for use under asyncio; jobs may come from an asynchronous source."""
        pending: deque[asyncio.Future[Execution]] = deque()
        unfinished = 0
        room = asyncio.Event()

        def one_less(_: object) -> None:
            nonlocal unfinished
            unfinished -= 1
            room.set()

        source: AsyncIterator[Job] | None = _as_async(jobs)
        try:
            while True:
                while source and unfinished < self._most_unfinished and len(pending) < self._most_waiting:
                    try:
                        job = await anext(source)
                    except StopAsyncIteration:
                        source = None
                        break
                    future = asyncio.wrap_future(self._submit(job))
                    unfinished += 1
                    future.add_done_callback(one_less)
                    pending.append(future)
                if not pending and source is None:
                    return
                if pending and pending[0].done():
                    yield pending.popleft().result()
                    continue
                room.clear()
                await room.wait()
        finally:
            self._drop(pending)

    @property
    def _most_unfinished(self) -> int:
        return UNFINISHED_PER_CORE * len(self.cores)

    @property
    def _most_waiting(self) -> int:
        return WAITING_PER_CORE * len(self.cores)

    def _drop(self, pending: Iterable[Future[Execution] | asyncio.Future[Execution]]) -> None:
        """Nobody wants these any more."""
        cancelled = [future.cancel() for future in pending]
        if any(cancelled) and self._pool:
            self._pool.forget_cancelled()

    def _submit(self, job: Job) -> Future[Execution]:
        if len(job.program) > self.limits.program_bytes:
            message = (
                f"the program has {len(job.program)} characters, {self.limits.program_bytes} are allowed: not compiled"
            )
            refused: Future[Execution] = Future()
            refused.set_result(Execution(Verdict.SYNTAX, Integrity.STRONG, Termination.UNKNOWN, message=message))
            return refused
        task = Task({"op": "run"} | _request(job), _execution, WALL_CAP * self.limits.wall_seconds + GRACE_SECONDS)
        return self._running().submit(task)

    def _running(self) -> Pool:
        if self._pool is None:
            raise RuntimeError("the sandbox is used outside its `with` block")
        return self._pool

    # ---- timings ---------------------------------------------------------------------------------------------------

    def measure(self, block: Block, *, core: int) -> BlockTiming:
        """Time a block on one of the sandbox's cores. Calls for different cores may come from different threads."""
        timing: BlockTiming = self._submit_block(block, core).result()
        return timing

    async def measure_async(self, block: Block, *, core: int) -> BlockTiming:
        """`measure` for use under asyncio."""
        timing: BlockTiming = await asyncio.wrap_future(self._submit_block(block, core))
        return timing

    def _submit_block(self, block: Block, core: int) -> Future[BlockTiming]:
        if core not in self.cores:
            raise ValueError(f"core {core} is not one of the sandbox's: {self.cores}")

        def finish(answer: dict[str, Any], attempts: int) -> BlockTiming:
            return _block_timing(block, core, answer, attempts)

        extra = {"timing_cpu_seconds": block.settings.cpu_seconds}
        request = {
            "op": "block",
            "hash_seed": block.hash_seed,
            "settings": asdict(block.settings),
            "reference": _request(REFERENCE) | extra | {"loops": REFERENCE_LOOPS},
            "jobs": [_request(one.job) | extra | {"loops": one.loops} for one in block.solutions],
        }
        per_job = WALL_CAP * self.limits.wall_seconds + 2 * block.settings.cpu_seconds
        task = Task(request, finish, per_job * (len(block.solutions) + 2) + GRACE_SECONDS)
        return self._running().submit(task, core)


async def _as_async(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Job]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
    else:
        for job in jobs:
            yield job


def _request(job: Job) -> dict[str, Any]:
    return {
        "program": job.program,
        "test": {"test": job.test, "prompt": job.prompt, "entry_point": job.entry_point},
    }


def _execution(answer: dict[str, Any], attempts: int) -> Execution:
    fault = answer.get("internal", answer.get("broken_test"))
    if fault is not None:
        return verdict.internal(str(fault), attempts=attempts)
    facts = verdict.read_facts(answer)
    if facts.outcome == "broken_test" and not facts.weak_reason:  # in weak mode the solution could say so
        return verdict.internal(facts.message, attempts=attempts)
    return verdict.execution(facts, attempts=attempts)


def _block_timing(block: Block, core: int, answer: dict[str, Any], attempts: int) -> BlockTiming:
    if "timings" not in answer:
        failed = _execution(answer, attempts)
        timings = tuple(Timing(one.solution_id, failed, flags=("internal",)) for one in block.solutions)
        return BlockTiming(block.block_id, core, block.hash_seed, (0, 0), timings)
    timings = tuple(
        _timing(one.solution_id, facts) for one, facts in zip(block.solutions, answer["timings"], strict=True)
    )
    before, after = answer["reference_ns"]
    return BlockTiming(block.block_id, core, block.hash_seed, (before, after), timings)


def _timing(solution_id: str, answer: dict[str, Any]) -> Timing:
    report, timing = answer["report"], answer["timing"]
    return Timing(
        solution_id=solution_id,
        execution=_execution(answer, 1),
        loops=timing.get("loops", 0),
        cpu_ns=tuple(timing.get("cpu_ns", ())),
        wall_ns=tuple(timing.get("wall_ns", ())),
        first_ns=timing.get("first_ns", 0),
        redone=timing.get("redone", 0),
        calls=int(report.get("recorded", 0)),
        calls_digest=str(report.get("calls_digest", "")),
        flags=tuple(timing.get("flags", ())),
    )


def timing_cores(cores: Sequence[int]) -> list[int]:
    """All cores but the first, which is left to the host side; the only one where there is only one."""
    return list(cores[1:]) or list(cores)
