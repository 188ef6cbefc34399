"""A Docker engine of our own beside the machine's, to be killed; and what of it there is to kill."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import psutil

from sandbox.container import LABEL
from sandbox.engine import EngineConfig, connect, down, privilege, start_daemon
from sandbox.image import ensure_image
from tests.docker.conftest import start_with_image

VICTIMS = ("warden", "shim", "containerd", "engine")


@contextmanager
def second_engine() -> Iterator[EngineConfig]:
    """An engine with the sandbox image. Whoever calls this must be able to start one (sandbox.engine.privilege)."""
    root = privilege()
    assert root is not None
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder:
        short = Path(folder)  # a socket's path has room for 108 bytes
        short.chmod(0o755)
        config = EngineConfig(
            state=short / "state",
            socket=short / "d.sock",
            pid_file=short / "d.pid",
            exec_root=short / "exec",
            data_root=short / "data",
        )
        try:
            with closing(connect(timeout=600)) as own:
                start_with_image(config, own, ensure_image(own))
            yield config
        finally:
            down(config, lambda _: None)
            # A killed daemon leaves its data mounted on itself, once for each time that it was killed.
            while f" {short / 'data'} " in Path("/proc/self/mounts").read_text():
                subprocess.run([*root.prefix, "umount", "-l", str(short / "data")], check=True)


def victim(name: str, config: EngineConfig) -> int | None:
    """The process to kill; None while there is none."""
    if name == "engine":
        return int(config.pid_file.read_text())
    if name == "containerd":
        return int((config.exec_root / "containerd" / "containerd.pid").read_text())
    init = _warden(config)
    if init is None or name == "warden":
        return init
    try:
        shim = psutil.Process(init).parent()
    except psutil.NoSuchProcess:
        return None
    return shim.pid if shim is not None and shim.name().startswith("containerd-shim") else None


def _warden(config: EngineConfig) -> int | None:
    """The first process of a container of ours on that engine."""
    with closing(docker.DockerClient(base_url=config.url, timeout=60)) as client:
        for found in client.api.containers(filters={"label": LABEL}):
            try:
                pid = int(client.api.inspect_container(found["Id"])["State"]["Pid"])
            except docker.errors.NotFound:
                continue
            if pid:
                return pid
    return None


def kill(name: str, config: EngineConfig, wanted: Callable[[], bool]) -> bool:
    """SIGKILL it as soon as there is one; False where `wanted` says before that it is too late."""
    while wanted():
        if pid := victim(name, config):
            os.kill(pid, signal.SIGKILL)
            return True
        time.sleep(0.02)
    return False


def mend(config: EngineConfig) -> None:
    """Start the engine again if it was killed; wait until one that lost its containerd has another."""
    root = privilege()
    assert root is not None
    end = time.monotonic() + 60
    while True:
        pid = victim("engine", config)
        if pid is None or not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            start_daemon(config, root, lambda _: None)
        try:
            with closing(docker.DockerClient(base_url=config.url, timeout=20)) as client:
                client.containers.list()
                return
        except Exception:  # not up yet, in one of many ways
            assert time.monotonic() < end, "the engine does not come back"
            time.sleep(0.5)
