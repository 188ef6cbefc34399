"""`Sandbox`: solutions in, executions and timings out. One container per core; results in input order."""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self, TypeVar

import docker

from sandbox import verdict
from sandbox.container import ContainerDied, ContainerSpec, WardenContainer, allowed_cores, remove_leftovers
from sandbox.engine import connect
from sandbox.errors import ImageError, SandboxError
from sandbox.image import find_image
from sandbox.reference import REFERENCE
from sandbox.types import Block, BlockTiming, Execution, Integrity, Job, Limits, Termination, Timing, Verdict

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS = 3  # of a run that came to nothing through a fault of ours
GRACE_SECONDS = 30.0  # beyond what the warden itself allows a run
WINDOW_PER_CORE = 32  # results that may wait for an earlier one: bounds memory whatever the number of jobs


class Sandbox:
    """Runs untrusted programs. Use as a context manager; everything it started is removed at the end.

    cores: CPU numbers, one container each (default: all that this process may use).
    runtime: the engine's runtime, e.g. "runsc" (default: the engine's own default).
    recycle_after: runs after which a container is replaced.
    Raises SandboxError (with the fix) if the engine, the image or any part of the lock-down is missing.
    """

    def __init__(
        self,
        *,
        cores: Sequence[int] | None = None,
        limits: Limits | None = None,
        runtime: str | None = None,
        recycle_after: int = 2_000,
    ) -> None:
        self.cores = list(cores) if cores is not None else allowed_cores()
        self.limits = limits or Limits()
        self._runtime = runtime
        self._recycle_after = recycle_after
        self._workers: dict[int, _Worker] = {}

    def __enter__(self) -> Self:
        self._client: docker.DockerClient = connect()
        image = find_image(self._client)
        if image is None:
            raise ImageError(
                "the sandbox image is not built, or the sources have changed since",
                fix="`make setup` (or `python -m sandbox image build`)",
            )
        self.image = image
        remove_leftovers(self._client)
        for core in self.cores:
            spec = ContainerSpec(image.id, core, self.limits, self._runtime)
            self._workers[core] = _Worker(self._client, spec, self._recycle_after)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.retire()
        self._workers.clear()
        self._client.close()

    def run(self, job: Job) -> Execution:
        """Judge one solution."""
        return next(self.run_many([job]))

    def run_many(self, jobs: Iterable[Job]) -> Iterator[Execution]:
        """Judge solutions on all cores; results in input order, as they become ready. Jobs are read as needed."""
        return self._ordered(jobs, lambda worker, job: worker.run(job))

    def measure(self, block: Block, *, core: int) -> BlockTiming:
        """Time a block on one of the sandbox's cores. Calls for different cores may come from different threads."""
        return self._workers[core].measure(block)

    def _ordered(self, items: Iterable[Item], handle: Callable[[_Worker, Item], Result]) -> Iterator[Result]:
        idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers.values():
            idle.put(worker)

        def work(item: Item) -> Result:
            worker = idle.get()
            try:
                return handle(worker, item)
            finally:
                idle.put(worker)

        pending: deque[Future[Result]] = deque()
        pool = ThreadPoolExecutor(len(self.cores), thread_name_prefix="sandbox")
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= WINDOW_PER_CORE * len(self.cores):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            pool.shutdown(wait=True, cancel_futures=True)


def timing_cores(cores: Sequence[int]) -> list[int]:
    """All cores but the first, which is left to the host side; the only one where there is only one."""
    return list(cores[1:]) or list(cores)


class _Worker:
    """One core: its container, replaced when it is used up or has misbehaved."""

    def __init__(self, client: docker.DockerClient, spec: ContainerSpec, recycle_after: int) -> None:
        self._client, self._spec, self._recycle_after = client, spec, recycle_after
        self._container: WardenContainer | None = None
        self._runs = 0

    def run(self, job: Job) -> Execution:
        limits = self._spec.limits
        if len(job.program) > limits.program_bytes:
            message = f"the program has {len(job.program)} characters, {limits.program_bytes} are allowed: not compiled"
            return Execution(Verdict.SYNTAX, Integrity.STRONG, Termination.UNKNOWN, message=message)
        request = {"op": "run"} | self._job_request(job)
        answer, attempts = self._ask(request, limits.wall_seconds + GRACE_SECONDS)
        return self._execution(answer, attempts)

    def measure(self, block: Block) -> BlockTiming:
        settings = asdict(block.settings)
        request = {
            "op": "block",
            "hash_seed": block.hash_seed,
            "settings": settings,
            "reference": self._job_request(REFERENCE, block) | {"loops": 1},
            "jobs": [self._job_request(one.job, block) | {"loops": one.loops} for one in block.solutions],
        }
        per_job = self._spec.limits.wall_seconds + 2 * block.settings.cpu_seconds
        answer, _ = self._ask(request, per_job * (len(block.solutions) + 2) + GRACE_SECONDS)
        if "timings" not in answer:
            failed = self._execution(answer, ATTEMPTS)
            timings = tuple(Timing(one.solution_id, failed, flags=("internal",)) for one in block.solutions)
            return BlockTiming(block.block_id, self._spec.core, block.hash_seed, (0, 0), timings)
        timings = tuple(
            self._timing(one.solution_id, facts) for one, facts in zip(block.solutions, answer["timings"], strict=True)
        )
        before, after = answer["reference_ns"]
        return BlockTiming(block.block_id, self._spec.core, block.hash_seed, (before, after), timings)

    def _timing(self, solution_id: str, answer: dict[str, Any]) -> Timing:
        report, timing = answer["report"], answer["timing"]
        return Timing(
            solution_id=solution_id,
            execution=self._execution(answer, 1),
            loops=timing.get("loops", 0),
            cpu_ns=tuple(timing.get("cpu_ns", ())),
            wall_ns=tuple(timing.get("wall_ns", ())),
            first_ns=timing.get("first_ns", 0),
            redone=timing.get("redone", 0),
            calls=int(report.get("recorded", 0)),
            calls_digest=str(report.get("calls_digest", "")),
            flags=tuple(timing.get("flags", ())),
        )

    def _job_request(self, job: Job, block: Block | None = None) -> dict[str, Any]:
        request = {
            "program": job.program,
            "test": {"test": job.test, "prompt": job.prompt, "entry_point": job.entry_point},
            "limits": asdict(self._spec.limits),
        }
        return request | ({"timing_cpu_seconds": block.settings.cpu_seconds} if block else {})

    def _ask(self, request: dict[str, Any], timeout: float) -> tuple[dict[str, Any], int]:
        """The warden's answer and the number of attempts. A container that fails is replaced and asked again."""
        problem = ""
        for attempt in range(1, ATTEMPTS + 1):
            container = self._ready()
            try:
                container.send(request)
                answer = container.receive(timeout)
            except ContainerDied as error:
                problem = error.what
                self.retire()
                continue
            self._runs += 1
            if "internal" in answer:
                problem = str(answer["internal"])
                self.retire()
                continue
            self._recycle_if_due(answer)
            return answer, attempt
        return {"broken_test": problem}, ATTEMPTS

    def _recycle_if_due(self, answer: dict[str, Any]) -> None:
        anomalies = [facts for facts in answer.get("timings", [answer]) if _anomaly(facts)]
        if anomalies or self._runs >= self._recycle_after:
            self.retire()

    def _execution(self, answer: dict[str, Any], attempts: int) -> Execution:
        if "broken_test" in answer:
            return verdict.internal(str(answer["broken_test"]), attempts=attempts)
        facts = verdict.read_facts(answer)
        if facts.outcome == "broken_test" and not facts.weak_reason:  # in weak mode the solution could say so
            return verdict.internal(facts.message, attempts=attempts)
        return verdict.execution(facts, attempts=attempts)

    def _ready(self) -> WardenContainer:
        if self._container is None:
            self._container = WardenContainer(self._client, self._spec)
            self._runs = 0
        return self._container

    def retire(self) -> None:
        if self._container is not None:
            with contextlib.suppress(SandboxError):
                self._container.close()
            self._container = None


def _anomaly(facts: dict[str, Any]) -> bool:
    """Something that no honest run leaves behind: the container is not used again."""
    report = facts.get("report", {})
    return bool(facts.get("dirty")) or report.get("outcome") == "violation"
