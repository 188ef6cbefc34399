"""CPU time of containers and of the machine, read from outside."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
import psutil

from sandbox.container import OWNER_LABEL, owner

CGROUPS = Path("/sys/fs/cgroup")


def machine_busy_seconds() -> float:
    """CPU time that all cores have spent on anything since the machine started."""
    times = psutil.cpu_times()._asdict()
    return float(sum(times.get(name, 0.0) for name in ("user", "nice", "system", "irq", "softirq")))


def cgroup_seconds(path: str) -> float | None:
    """CPU time of a cgroup and all below it, dead processes included; None if it can't be seen from here."""
    for folder in ("cpuacct", "cpu,cpuacct"):
        file = CGROUPS / folder / path / "cpuacct.usage"
        if file.exists():
            return int(file.read_text()) / 1e9
    file = CGROUPS / path / "cpu.stat"
    if file.exists():
        return int(dict(line.split() for line in file.read_text().splitlines())["usage_usec"]) / 1e6
    return None


def stats(client: docker.DockerClient, container: str) -> dict[str, Any]:
    """The engine's statistics of a container; empty if it is gone. An old engine takes a second for them."""
    try:
        found: dict[str, Any] = client.api.stats(container, stream=False, one_shot=True)
    except (docker.errors.APIError, ValueError):  # no such container; gone while it was looked at
        return {}
    return found


def container_cpu_seconds(client: docker.DockerClient, container: str) -> float | None:
    """From the cgroup's own file where it is seen (the engine's figure is the same one, but a second late)."""
    for path in (f"docker/{container}", f"system.slice/docker-{container}.scope"):
        try:
            found = cgroup_seconds(path)
        except OSError:  # gone between two looks
            found = None
        if found is not None:
            return found
    usage = stats(client, container).get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
    return usage / 1e9 if usage is not None else None


def our_containers(client: docker.DockerClient) -> list[str]:
    """Ids of the containers that this process owns."""
    listed = client.api.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner()}"})
    return [str(one["Id"]) for one in listed]


class ContainerCpu:
    """CPU time of this process's containers over a span, with those that are replaced in it.

    A container's figure is gone with it, so the SDK's own call that removes one is made to read it first.
    """

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client
        self._before: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self.replaced = 0

    def __enter__(self) -> Self:
        self._remove = docker.APIClient.remove_container
        meter, remove = self, self._remove

        def read_and_remove(api: docker.APIClient, container: Any, *args: Any, **options: Any) -> Any:
            meter._read(str(getattr(container, "id", container)))
            meter.replaced += 1
            return remove(api, container, *args, **options)

        for container in our_containers(self._client):
            self._read(container)
        self._before = dict(self._last)
        docker.APIClient.remove_container = read_and_remove  # type: ignore[method-assign,assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        docker.APIClient.remove_container = self._remove  # type: ignore[method-assign]
        for container in our_containers(self._client):
            self._read(container)

    def _read(self, container: str) -> None:
        used = container_cpu_seconds(self._client, container)
        if used is not None:
            self._last[container] = max(used, self._last.get(container, 0.0))  # 0 once it has stopped

    @property
    def seconds(self) -> float:
        return sum(used - self._before.get(container, 0.0) for container, used in self._last.items())


class ParentCgroup:
    """A cgroup above containers that come and go: their CPU time stays in its sum. For a local engine with cgroupfs."""

    def __init__(self, name: str) -> None:
        self.name = name

    def seconds(self) -> float | None:
        return cgroup_seconds(self.name.lstrip("/"))


@contextmanager
def parent_cgroup(client: docker.DockerClient) -> Iterator[ParentCgroup | None]:
    """A name for `cgroup_parent`; None where the engine's driver takes no plain names. Removed at the end."""
    if client.info().get("CgroupDriver") != "cgroupfs":
        yield None
        return
    group = ParentCgroup(f"/code-optimise-bench-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield group
    finally:
        for folder in (CGROUPS / group.name.lstrip("/"), *CGROUPS.glob(f"*{group.name}")):
            try:
                folder.rmdir()
            except OSError:
                pass  # not in this hierarchy
