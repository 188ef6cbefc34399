"""One locked-down container with a warden in it: how it is created, what is checked, how it is spoken to.

Fail closed: the warden reports its lock-down from inside, and a container that has not got all that was asked for is
never given a program.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import docker
import psutil
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit

from sandbox.errors import SandboxError
from sandbox.seccomp import profile_text
from sandbox.types import MIB, Limits

LABEL = "code-optimise.sandbox"
OWNER_LABEL = "code-optimise.owner"
START_SECONDS = 60.0
SEND_SECONDS = 30.0
MAX_ANSWER_BYTES = 16 * MIB
CONTAINER_OVERHEAD_BYTES = 768 * MIB  # warden, zygote and judge beside one candidate
PIDS_OVERHEAD = 24
SCRATCH_INODES = 1_024

CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7
CAPABILITIES = ("KILL", "SETGID", "SETUID")
CAPABILITY_MASK = 1 << CAP_KILL | 1 << CAP_SETGID | 1 << CAP_SETUID
SECCOMP_FILTER = 2


class ContainerDied(SandboxError):
    """The container ended, fell silent, or said something that no warden says."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that decides how a container is made, besides the image."""

    image: str  # an image id (sha256:…), never a name that could come to mean something else
    core: int
    limits: Limits
    runtime: str | None = None

    @property
    def memory_bytes(self) -> int:
        return self.limits.memory_bytes + CONTAINER_OVERHEAD_BYTES

    @property
    def pids(self) -> int:
        return self.limits.processes + PIDS_OVERHEAD


def owner() -> str:
    """Who a container belongs to: this process, told apart from a later one with the same number."""
    process = psutil.Process()
    return f"{process.pid}:{process.create_time():.2f}"


def owner_is_alive(text: str) -> bool:
    pid, _, created = text.partition(":")
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(created)) < 1.0
    except (psutil.NoSuchProcess, ValueError):
        return False


def create_options(spec: ContainerSpec, uid: int) -> dict[str, Any]:
    """The engine's options for a container (design.md section 4). `uid` is the candidate's, unique to the container,
    because the kernel counts a uid's processes across containers."""
    scratch = (
        f"rw,nosuid,nodev,noexec,size={spec.limits.file_bytes},nr_inodes={SCRATCH_INODES},mode=0755,uid={uid},gid={uid}"
    )
    return {
        "image": spec.image,
        "user": "0:0",
        "stdin_open": True,
        "network_mode": "none",
        "ipc_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "security_opt": ["no-new-privileges:true", "seccomp=" + profile_text()],
        "pids_limit": spec.pids,
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "cpuset_cpus": str(spec.core),
        "tmpfs": {"/scratch": scratch},
        "ulimits": [Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=1024, hard=1024)],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "labels": {LABEL: "1", OWNER_LABEL: owner()},
        "working_dir": "/",
        "hostname": "sandbox",
        "runtime": spec.runtime,
    }


def lockdown_problems(spec: ContainerSpec, hello: Mapping[str, Any]) -> list[str]:
    """What the container lacks of what was asked for, as the warden sees it from inside. Empty: all is there."""
    found = {
        "the warden is not process 1": hello["pid"] == 1,
        "capabilities differ": hello["capabilities"] == hello["bounding"] == CAPABILITY_MASK,
        "no_new_privileges is off": hello["no_new_privileges"] is True,
        "seccomp is off": hello["seccomp"] == SECCOMP_FILTER,
        "the root file system can be written to": hello["read_only"] is True,
        f"there is a network: {hello['interfaces']}": set(hello["interfaces"]) <= {"lo"},
        f"not pinned to core {spec.core}: {hello['cpus']}": hello["cpus"] == [spec.core],
        f"memory limit is {hello['memory_limit']}": hello["memory_limit"] == spec.memory_bytes,
        f"process limit is {hello['pids_limit']}": hello["pids_limit"] == spec.pids,
        f"scratch holds {hello['scratch_inodes']} files": hello["scratch_inodes"] == SCRATCH_INODES,
    }
    return [problem for problem, fine in found.items() if not fine]


def remove_leftovers(client: docker.DockerClient) -> int:
    """Remove containers whose owner is gone (killed before it could clean up); how many there were."""
    removed = 0
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        if not owner_is_alive(container.labels.get(OWNER_LABEL, "")):
            with contextlib.suppress(docker.errors.APIError):
                container.remove(force=True)
                removed += 1
    return removed


class WardenContainer:
    """A running container and the frames to and from its warden. Not thread-safe: one thread per container."""

    def __init__(self, client: docker.DockerClient, spec: ContainerSpec) -> None:
        self.spec = spec
        self._buffer = b""  # the warden's answers, as far as they have arrived
        self._log = b""
        # Numbers that no account has and that two containers will hardly share.
        self._uid = random.SystemRandom().randrange(1 << 20, 1 << 30)
        try:
            self._container: Container = client.containers.create(**create_options(spec, self._uid))
        except docker.errors.APIError as error:
            raise SandboxError(f"the engine refuses the container: {error.explanation}") from error
        try:
            self._socket = self._attach(client)
            self._container.start()
            self.send({"op": "hello", "uid": self._uid})
            self.hello = self.receive(START_SECONDS)
            problems = lockdown_problems(spec, self.hello) if "internal" not in self.hello else [self.hello["internal"]]
            if problems:
                raise SandboxError(
                    "the lock-down is not what was asked for: " + "; ".join(problems),
                    where=f"container on core {spec.core}",
                    fix="`code-optimise doctor` says what this engine can enforce",
                )
        except docker.errors.APIError as error:
            self.close()
            raise SandboxError(f"the container does not start: {error.explanation}") from error
        except BaseException:
            self.close()
            raise

    def _attach(self, client: docker.DockerClient) -> socket.socket:
        parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = client.api.attach_socket(str(self._container.id), params=parameters)
        raw: socket.socket = getattr(attached, "_sock", attached)
        # The SDK's wrapper would close the socket when it is collected.
        self._attached = attached
        return raw

    def send(self, request: Mapping[str, Any]) -> None:
        payload = json.dumps(request).encode("ascii")
        try:
            self._socket.settimeout(SEND_SECONDS)
            self._socket.sendall(len(payload).to_bytes(4, "big") + payload)
        except OSError as error:
            raise ContainerDied(f"cannot be written to: {error}{self._last_words()}") from error

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next answer. Raises ContainerDied after `timeout` seconds of waiting, or at the stream's end."""
        deadline = time.monotonic() + timeout
        header = self._take(4, deadline)
        length = int.from_bytes(header, "big")
        if length > MAX_ANSWER_BYTES:
            raise ContainerDied(f"announced an answer of {length} bytes")
        try:
            answer = json.loads(self._take(length, deadline))
        except ValueError as error:
            raise ContainerDied("sent something that is not JSON") from error
        if not isinstance(answer, dict):
            raise ContainerDied("sent something that is not an answer")
        return answer

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            stream, data = self._read_chunk(deadline)
            if stream == 1:
                self._buffer += data
            else:
                self._log = (self._log + data)[-4_000:]
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _read_chunk(self, deadline: float) -> tuple[int, bytes]:
        """One chunk of the engine's multiplexed stream: eight bytes of header (stream, length), then the data."""
        stream, length = struct.unpack(">BxxxL", self._read_exactly(8, deadline))
        return stream, self._read_exactly(length, deadline)

    def _read_exactly(self, count: int, deadline: float) -> bytes:
        data = b""
        while len(data) < count:
            try:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                chunk = self._socket.recv(count - len(data))
            except TimeoutError as error:
                raise ContainerDied(f"no answer in time{self._last_words()}") from error
            except OSError as error:
                raise ContainerDied(f"cannot be read from: {error}") from error
            if not chunk:
                raise ContainerDied(f"ended{self._last_words()}")
            data += chunk
        return data

    def _last_words(self) -> str:
        return f"; its last words: {self._log.decode('utf-8', 'replace')[-600:]}" if self._log else ""

    def close(self) -> None:
        """Remove the container, whatever state it is in."""
        with contextlib.suppress(Exception):
            self._socket.close()
        with contextlib.suppress(docker.errors.APIError, OSError):
            self._container.remove(force=True)


def allowed_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))
