"""One locked-down container with a warden in it: how it is created and what is checked before it is used.

Fail closed: the warden reports its lock-down from inside, and a container that has not got all that was asked for is
never given a program.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import docker
import psutil
import requests
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit

from sandbox.errors import LockdownError, SandboxError
from sandbox.lockdown_report import probe_problems
from sandbox.seccomp import profile_text
from sandbox.stream import EngineStream, frame
from sandbox.types import MIB, Limits

LABEL = "code-optimise.sandbox"
OWNER_LABEL = "code-optimise.owner"
START_SECONDS = 60.0
END_SECONDS = 10.0  # for the engine to notice the end of a container
SLOTS = 8  # candidates that one container can have in flight: the others while some sleep or loop
CONTAINER_OVERHEAD_BYTES = 768 * MIB  # warden, zygote and judge beside one candidate
PIDS_OVERHEAD = 40  # warden, zygote, judges at work and idle
SCRATCH_INODES = 1_024
PAGE_BYTES = 4_096

CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7
CAPABILITIES = ("KILL", "SETGID", "SETUID")
CAPABILITY_NUMBERS = [CAP_KILL, CAP_SETGID, CAP_SETUID]
SECCOMP_FILTER = 2


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that decides how a container is made, besides the image."""

    image: str  # an image id (sha256:…), never a name that could come to mean something else
    core: int
    limits: Limits
    runtime: str | None = None
    small_uids: bool = False  # the engine maps users: only the first 65,536 exist in a container
    gvisor: bool = False  # the runtime is gVisor's: a kernel of its own, which shows other things

    @property
    def memory_bytes(self) -> int:
        # Room for one candidate at its limit. Several may share it: a run that is killed for want of memory while
        # others are in flight is run again alone (guest/warden.py).
        return self.limits.memory_bytes + CONTAINER_OVERHEAD_BYTES

    @property
    def pids(self) -> int:
        # gVisor's own threads and its stand-ins for ours are counted as well.
        return (SLOTS * self.limits.processes + PIDS_OVERHEAD) * (8 if self.gvisor else 1)

    def choose_uids(self) -> list[int]:
        """One uid a slot. Numbers that no account has and that two containers will hardly share: the kernel counts a
        uid's processes across containers."""
        low, high = (20_000, 60_000) if self.small_uids else (1 << 20, 1 << 30)
        first = random.SystemRandom().randrange(low, high - SLOTS)
        return list(range(first, first + SLOTS))


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


def create_options(spec: ContainerSpec, uids: Sequence[int]) -> dict[str, Any]:
    """The engine's options for a container (design.md section 4)."""
    scratches = {
        f"/scratch/{index}": "rw,nosuid,nodev,noexec,noatime,mode=0700,"
        f"size={spec.limits.file_bytes},nr_inodes={SCRATCH_INODES},uid={uid},gid={uid}"
        for index, uid in enumerate(uids)
    }
    if spec.gvisor:
        # Else gVisor puts a writable folder at /tmp, and at /proc a view of every process that it keeps from no uid.
        scratches |= dict.fromkeys(("/tmp", "/proc"), "ro,nosuid,nodev,noexec,size=4096,mode=0555")  # noqa: S108
    return {
        "image": spec.image,
        "user": "0:0",
        "stdin_open": True,
        "auto_remove": not spec.gvisor,  # else nobody could ask afterwards what it died of (`ran_out_of_memory`)
        "stop_signal": "SIGKILL",
        "network_mode": "none",
        "ipc_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "security_opt": ["no-new-privileges:true", "seccomp=" + profile_text(gvisor=spec.gvisor)],
        "pids_limit": spec.pids,
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "cpuset_cpus": str(spec.core),
        "tmpfs": scratches,
        "ulimits": [Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=1024, hard=1024)],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "labels": {LABEL: "1", OWNER_LABEL: owner()},
        "working_dir": "/",
        "hostname": "sandbox",
        "runtime": spec.runtime,
    }


def lockdown_problems(spec: ContainerSpec, hello: Mapping[str, Any]) -> list[str]:
    """What the container lacks of what was asked for, as the warden sees it from inside. Empty: all is there.

    gVisor's kernel applies the engine's limits to itself and does not show them to those inside it: for these the
    engine's own record is asked (`engine_problems`). Whether it filters system calls is found out by the probes alone.
    """
    found = common_findings(spec, hello)
    found |= gvisor_findings(hello) if spec.gvisor else linux_findings(spec, hello)
    return [problem for problem, fine in found.items() if not fine]


def common_findings(spec: ContainerSpec, hello: Mapping[str, Any]) -> dict[str, bool]:
    return {
        "the warden is not process 1": hello["pid"] == 1,
        "capabilities differ": all(
            numbers == CAPABILITY_NUMBERS
            for numbers in (hello["capabilities"]["effective"], hello["capabilities"]["permitted"], hello["bounding"])
        ),
        "the CPU time of other processes cannot be read": hello["clocks_of_others"] is True,
        "no_new_privileges is off": hello["no_new_privileges"] is True,
        "the root file system can be written to": hello["read_only"] is True,
        f"there is a network: {hello['interfaces']}": set(hello["interfaces"]) <= {"lo"},
        f"scratch folders hold {hello['scratch_bytes']} bytes": all(
            size <= spec.limits.file_bytes + PAGE_BYTES for size in hello["scratch_bytes"]
        ),
    }


def gvisor_findings(hello: Mapping[str, Any]) -> dict[str, bool]:
    return {
        f"/proc shows processes: {hello['processes_seen']}": hello["processes_seen"] == [],
        # It numbers the cores that it may use from 0.
        f"more than one core: {hello['cpus']}": hello["cpus"] == [0],
    }


def linux_findings(spec: ContainerSpec, hello: Mapping[str, Any]) -> dict[str, bool]:
    return {
        "seccomp is off": hello["seccomp"] == SECCOMP_FILTER,
        f"not pinned to core {spec.core}: {hello['cpus']}": hello["cpus"] == [spec.core],
        f"memory limit is {hello['memory_limit']}": hello["memory_limit"] == spec.memory_bytes,
        f"process limit is {hello['pids_limit']}": hello["pids_limit"] == spec.pids,
        f"scratch folders hold {hello['scratch_inodes']} files": hello["scratch_inodes"] == [SCRATCH_INODES] * SLOTS,
    }


def engine_problems(spec: ContainerSpec, config: Mapping[str, Any]) -> list[str]:
    """What the engine's own record of the container (HostConfig) lacks of what was asked for."""
    wanted = {
        "Memory": spec.memory_bytes, "MemorySwap": spec.memory_bytes, "PidsLimit": spec.pids,
        "CpusetCpus": str(spec.core), "NetworkMode": "none", "ReadonlyRootfs": True, "Privileged": False,
    }  # fmt: skip
    return [f"{name} is {config.get(name)}" for name, value in wanted.items() if config.get(name) != value]


def remove_leftovers(client: docker.DockerClient) -> int:
    """Remove containers whose owner is gone (killed before it could clean up); how many there were."""
    removed = 0
    for container in client.containers.list(all=True, ignore_removed=True, filters={"label": LABEL}):
        if not owner_is_alive(container.labels.get(OWNER_LABEL, "")):
            with contextlib.suppress(docker.errors.APIError):
                container.remove(force=True)
                removed += 1
    return removed


class WardenContainer:
    """A container that has shown its lock-down. `socket` carries the frames to and from its warden."""

    def __init__(self, client: docker.DockerClient, spec: ContainerSpec) -> None:
        """Create, start and check it. Blocks for some tenths of a second. Raises SandboxError, and leaves nothing."""
        self.spec = spec
        uids = spec.choose_uids()
        try:
            self._container: Container = client.containers.create(**create_options(spec, uids))
        except docker.errors.APIError as error:
            raise SandboxError(f"the engine refuses the container: {error.explanation}") from error
        try:
            self.socket = self._attach(client)
            self._container.start()
            self.hello = self._greet(
                {"op": "hello", "id": 0, "uids": uids, "limits": asdict(spec.limits), "gvisor": spec.gvisor}
            )
            problems = lockdown_problems(spec, self.hello)
            problems += probe_problems(self.hello["probes"], "runsc" if spec.gvisor else None)
            if spec.gvisor:
                self._container.reload()
                problems += engine_problems(spec, self._container.attrs["HostConfig"])
            if problems:
                raise LockdownError(
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

    def _greet(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The warden's first answer."""
        frames = EngineStream()
        deadline = time.monotonic() + START_SECONDS
        try:
            self.socket.settimeout(START_SECONDS)
            self.socket.sendall(frame(request))
            while True:
                self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
                data = self.socket.recv(1 << 16)
                answers = frames.feed(data)
                if answers and "internal" in answers[0]:
                    what = f"{answers[0]['internal']}{frames.last_words()}"
                    raise SandboxError(f"the container does not start up: {what}")
                if answers:
                    return answers[0]
                if not data:
                    raise SandboxError(f"the container ended at its start{frames.last_words()}")
        except TimeoutError as error:
            raise SandboxError(f"the container does not answer{frames.last_words()}") from error
        except OSError as error:
            raise SandboxError(f"the container cannot be spoken to: {error}{frames.last_words()}") from error

    def ran_out_of_memory(self) -> bool:
        """Whether that ended the container as a whole: gVisor's kernel is one process to the machine, and goes as one.
        Blocks until the container has ended; only for one that the engine does not remove by itself."""
        with contextlib.suppress(docker.errors.APIError, requests.exceptions.RequestException):
            self._container.wait(timeout=END_SECONDS)
            self._container.reload()
            return self._container.attrs["State"].get("OOMKilled") is True
        return False

    def close(self) -> None:
        """Remove the container, whatever state it is in."""
        with contextlib.suppress(Exception):
            self.socket.close()
        with contextlib.suppress(docker.errors.APIError, OSError):
            self._container.remove(force=True)


def allowed_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))
