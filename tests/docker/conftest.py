"""A second engine of our own, for tests that stop it, restart it, or want it set up in another way."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from sandbox.engine import EngineConfig, down, privilege, start_daemon
from sandbox.image import ImageInfo

MakeConfig = Callable[..., EngineConfig]


@pytest.fixture
def make_config(tmp_path: Path) -> Iterator[MakeConfig]:
    """Settings of engines beside the machine's own; whatever was started with them is stopped at the end."""
    if privilege() is None:
        pytest.skip("starting an engine takes root or sudo without a password")
    configs: list[EngineConfig] = []
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder:
        # A socket's path is short by law (108 bytes); pytest's folders are not.
        short = Path(folder)
        short.chmod(0o755)  # a mapped root has to get through to the engine's data

        def make(*, map_users: bool = False) -> EngineConfig:
            config = EngineConfig(
                state=tmp_path / "state",
                socket=short / "d.sock",
                pid_file=short / "d.pid",
                exec_root=short / "exec",
                data_root=short / "data",
                map_users=map_users,
            )
            configs.append(config)
            return config

        yield make
        for config in configs:
            down(config, lambda _: None)


@pytest.fixture
def second(make_config: MakeConfig) -> EngineConfig:
    return make_config()


def start_with_image(config: EngineConfig, engine: docker.DockerClient, image: ImageInfo) -> None:
    """Start that engine and give it the sandbox image of another one."""
    root = privilege()
    assert root is not None
    start_daemon(config, root, lambda _: None)
    with contextlib.closing(docker.DockerClient(base_url=config.url, timeout=300)) as client:
        if not client.images.list(name=image.tag):
            client.images.load(engine.images.get(image.tag).save(named=image.tag))
