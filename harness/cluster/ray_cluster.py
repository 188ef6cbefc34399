"""The Ray cluster that this machine belongs to: its nodes, and actors on them. The only module that imports Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UserError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported: nothing is reported to anybody

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as missing:
    raise UserError(
        "Ray is not installed", where="--engine ray", fix="pip install 'code-optimise[ray]', on every node"
    ) from missing

SLOT = "timing_slot"
START_RAY = f"ray start --head --resources='{{\"{SLOT}\": 4}}' on one machine, `ray start --address …` on the others"


class Lost(Exception):
    """An actor that does not answer any more, or broke. `told`: what it raised itself, which is for the user."""

    def __init__(self, reason: str, told: Exception | None = None) -> None:
        self.told = told
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Node:
    """name: Ray's own. host: what people call the machine."""

    name: str
    host: str
    resources: Mapping[str, float]


def connect() -> None:
    """Join the cluster as a driver. Raises UserError where there is none."""
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"no Ray cluster can be reached ({reason})", where=f"RAY_ADDRESS={address}", fix=START_RAY
        ) from error


def disconnect() -> None:
    ray.shutdown()


def nodes() -> list[Node]:
    """Those that are alive."""
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [Node(one["NodeID"], str(one["NodeManagerHostname"]), one["Resources"]) for one in known if one["Alive"]]


class Actor:
    """An object of a class of ours in a process of its own on one node. It goes with this driver.

    Calls return at once; `result` is what came of one.
    """

    def __init__(self, kind: type, node: Node, arguments: Sequence[Any], **resources: Any) -> None:
        self.node = node
        where = NodeAffinitySchedulingStrategy(node.name, soft=False)
        options = {"num_cpus": 0, "max_restarts": 0, "max_concurrency": 4, "scheduling_strategy": where}
        self._handle: Any = ray.remote(kind).options(**(options | resources)).remote(*arguments)

    def call(self, method: str, *arguments: Any) -> Call:
        try:
            return getattr(self._handle, method).remote(*arguments)
        except RayError as error:
            raise Lost(_first_line(error)) from error

    def end(self, method: str = "", seconds: float = 0.0) -> None:
        """Kill it; before that let it run this method for so long."""
        try:
            if method:
                ray.wait([self.call(method)], timeout=seconds)
            ray.kill(self._handle)
        except (RayError, Lost):  # it is gone already
            pass


Call = Any  # ray.ObjectRef, which Ray does not type


def ready(calls: Sequence[Call], seconds: float) -> list[Call]:
    """Those that came to an end, at the latest after so many seconds."""
    done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
    if not done:
        done, _ = ray.wait(list(calls), num_returns=1, timeout=seconds)
    return list(done)


def result(call: Call) -> Any:
    """What a call that came to an end returned. Raises Lost."""
    try:
        return ray.get(call)
    except RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        raise Lost(_first_line(cause), cause) from error
    except RayError as error:
        raise Lost(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
