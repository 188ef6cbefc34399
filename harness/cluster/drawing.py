"""`sample --engine ray`: a model that is loaded on many nodes, as one place where completions come from.

The stage in the driver is the local one: it plans, keeps and counts. Only the drawing is done elsewhere, by one actor
per GPU, or one per node, with all its CPUs, where the cluster has no GPU.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cluster.ray_cluster import START_RAY, Actor, Call, Lost, connect, disconnect, nodes, ready, result
from harness.errors import UserError
from harness.progress import Reporter, SilentReporter
from harness.sampling.address import is_address
from harness.sampling.origins import origin
from harness.sampling.settings import Row, SamplingSettings
from harness.sampling.written import Backend, Origin, Written
from harness.waiting import spin_briefly

CHUNKS = 4  # that each actor gets of what there is: those that are done early take more
LEAST, MOST = 16, 1_024  # rows of a chunk
TRIES = 3  # of a chunk, after which what the actors say is the chunk's fault
GONE_SECONDS = 300.0  # without any actor at work before the run ends; loading a model takes a while
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class RemoteStart:
    """Where the rows of one problem begin, as an actor found."""

    prompt: str
    lead: str
    prompt_tokens: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Opened:
    """recorded: what decides a sample there, to be compared with the driver's."""

    recorded: dict[str, Any]
    facts: dict[str, Any]
    context_limit: int | None


class Drawer:
    """The actor: a model in a process of its own."""

    def __init__(self, model_path: str, settings: SamplingSettings) -> None:
        self._model_path, self._settings = model_path, settings
        self._starts: dict[str, Any] = {}  # by prompt

    def open(self) -> Opened:
        spin_briefly(os.environ)
        source = origin(self._model_path, self._settings, SilentReporter())
        self._backend: Backend[Any] = source.open({})
        return Opened(source.recorded(), self._backend.facts({}), self._backend.context_limit)

    def start(self, prompt: str) -> RemoteStart:
        start = self._start(prompt)
        return RemoteStart(prompt, start.lead, start.prompt_tokens, start.size)

    def write(self, rows: Sequence[Row], prompts: Mapping[str, str]) -> list[Written]:
        starts = {task_id: self._start(prompt) for task_id, prompt in prompts.items()}
        return list(self._backend.write(rows, starts, self._settings))

    def _start(self, prompt: str) -> Any:
        if prompt not in self._starts:
            self._starts[prompt] = self._backend.start(prompt)
        return self._starts[prompt]


class RayOrigin:
    """A local model, opened on the cluster. To be closed. Raises UserError for a model behind an address."""

    def __init__(self, model_path: str, settings: SamplingSettings, reporter: Reporter) -> None:
        if is_address(model_path):
            fix = "leave --engine out: the server shares the work out, --concurrency says how much it gets at a time"
            raise UserError("the model is behind an address", where="--engine ray", fix=fix)
        self._local: Origin = origin(model_path, settings, reporter)
        self._model_path, self._settings, self._reporter = model_path, settings, reporter
        self._backend: RayBackend | None = None

    @property
    def name(self) -> str:
        return self._local.name

    def recorded(self) -> dict[str, Any]:
        return self._local.recorded()

    def open(self, _: Mapping[str, Any]) -> Backend[Any]:
        if self._backend is None:
            connect()
            self._backend = RayBackend(self._model_path, self._settings, self.recorded(), self._reporter)
        return self._backend

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()
            disconnect()


@dataclass(slots=True)
class _Chunk:
    rows: Sequence[Row]
    tries: int = 0


@dataclass(slots=True)
class _Worker:
    """opened: None while the model is being loaded. chunk: what it is writing."""

    actor: Actor
    call: Call | None
    opened: Opened | None = None
    chunk: _Chunk | None = None


class RayBackend:
    """All actors together. Those that die are replaced while their node, or another, is there."""

    def __init__(
        self, model_path: str, settings: SamplingSettings, recorded: Mapping[str, Any], reporter: Reporter
    ) -> None:
        self._arguments = (model_path, settings)
        self._recorded, self._reporter = recorded, reporter
        self._workers: dict[str, _Worker] = {}  # by node and number
        self._looked_at = float("-inf")
        self._failed = 0  # actors in a row that did not come up
        self._last: Lost | None = None
        self._first: Opened = self._wait_for_one()

    def _wait_for_one(self) -> Opened:
        end = time.monotonic() + GONE_SECONDS
        while time.monotonic() < end and self._failed < TRIES:
            self._turn(deque(), {}, 1.0)
            for worker in self._workers.values():
                if worker.opened is not None:
                    return worker.opened
        raise self._error()

    @property
    def context_limit(self) -> int | None:
        return self._first.context_limit

    def facts(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        return {**self._first.facts, "engine": "ray"}

    def start(self, prompt: str) -> RemoteStart:
        while True:
            for name, worker in list(self._workers.items()):
                if worker.opened is not None:
                    try:
                        begun: RemoteStart = result(worker.actor.call("start", prompt))
                        return begun
                    except Lost as lost:
                        self._lose(name, lost, deque())
            self._first = self._wait_for_one()

    def write(
        self, rows: Sequence[Row], starts: Mapping[str, RemoteStart], settings: SamplingSettings
    ) -> Generator[Written, None, None]:
        size = max(LEAST, min(MOST, -(-len(rows) // (CHUNKS * max(1, len(self._workers))))))
        chunks = deque(_Chunk(rows[first : first + size]) for first in range(0, len(rows), size))
        left, seen = len(chunks), time.monotonic()
        while left:
            for written in self._turn(chunks, starts, 1.0):
                left -= 1
                yield from written
            if any(worker.opened for worker in self._workers.values()):
                seen = time.monotonic()
            if time.monotonic() - seen > GONE_SECONDS:
                raise self._error()

    def _turn(
        self, chunks: deque[_Chunk], starts: Mapping[str, RemoteStart], seconds: float
    ) -> list[list[Written]]:
        """Give idle actors work, wait so long for something to happen; the chunks that came to an end."""
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._open_new()
        for name, worker in list(self._workers.items()):
            if worker.opened is not None and worker.call is None and chunks:
                worker.chunk = chunks.popleft()
                prompts = {row.task_id: starts[row.task_id].prompt for row in worker.chunk.rows}
                try:
                    worker.call = worker.actor.call("write", worker.chunk.rows, prompts)
                except Lost as lost:
                    self._lose(name, lost, chunks)
        calls = {worker.call: name for name, worker in self._workers.items() if worker.call is not None}
        if not calls:
            time.sleep(min(seconds, LOOK_SECONDS))
            return []
        found: list[list[Written]] = []
        for call in ready(list(calls), seconds):
            name = calls[call]
            worker = self._workers[name]
            try:
                answer = result(call)
                if worker.opened is None:
                    self._check(answer)
                    worker.opened, self._failed = answer, 0
                else:
                    found.append(answer)
                worker.call = worker.chunk = None
            except Lost as lost:
                self._lose(name, lost, chunks)
        return found

    def _open_new(self) -> None:
        there = nodes()
        gpus = any(node.resources.get("GPU") for node in there)
        for node in there:
            for number in range(int(node.resources.get("GPU", 0)) if gpus else 1):
                name = f"{node.name}:{number}"
                if name not in self._workers and self._failed < TRIES:
                    device = {"num_gpus": 1} if gpus else {"num_cpus": node.resources.get("CPU", 0)}
                    actor = Actor(Drawer, node, self._arguments, **device)
                    self._workers[name] = _Worker(actor, actor.call("open"))

    def _check(self, opened: Opened) -> None:
        if opened.recorded != self._recorded:
            error = UserError(
                "a node has other weights under this name", where=f"--model_path {self._arguments[0]}",
                fix="have the same folder on all nodes, for instance on a shared file system",
            )  # fmt: skip
            raise Lost(str(error), error)

    def _lose(self, name: str, lost: Lost, chunks: deque[_Chunk]) -> None:
        worker = self._workers.pop(name)
        worker.actor.end()
        self._last = lost
        self._reporter.warn(f"host {worker.actor.node.host}: {lost}")
        if worker.opened is None:
            self._failed += 1
        if worker.chunk is not None:
            worker.chunk.tries += 1
            if worker.chunk.tries >= TRIES:
                raise self._error()
            chunks.appendleft(worker.chunk)

    def _error(self) -> Exception:
        told = self._last.told if self._last is not None else None
        reason = str(self._last or "none answers")
        return told or UserError(f"no node draws any more ({reason})", where="--engine ray", fix=START_RAY)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.actor.end()
        self._workers.clear()
