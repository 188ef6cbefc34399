"""What all tests share: tests that need Docker fail without an engine, unless SKIP_DOCKER=1 leaves them out."""

from __future__ import annotations

import os
from collections.abc import Iterator

import docker
import pytest

from sandbox.engine import connect
from sandbox.errors import SandboxError
from sandbox.image import ImageInfo, ensure_image

NEEDS_DOCKER = ("docker", "hostile", "e2e", "ray")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With SKIP_DOCKER=1, deselect (and so count) what needs Docker; without it, nothing is left out silently."""
    if os.environ.get("SKIP_RAY", "") not in ("", "0"):
        clusters = [item for item in items if item.get_closest_marker("ray")]
        config.hook.pytest_deselected(items=clusters)
        items[:] = [item for item in items if item not in set(clusters)]
    needs = [item for item in items if any(item.get_closest_marker(name) for name in NEEDS_DOCKER)]
    if os.environ.get("SKIP_DOCKER", "") not in ("", "0"):
        config.hook.pytest_deselected(items=needs)
        items[:] = [item for item in items if item not in set(needs)]
        return
    for item in needs:
        # As a fixture, so that a missing engine fails the test at its start, with the fix.
        item.fixturenames.insert(0, "docker_engine")  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    try:
        client = connect(timeout=600)
    except SandboxError as error:
        pytest.fail(f"{error}\n  or leave these tests out: SKIP_DOCKER=1", pytrace=False)
    yield client
    client.close()


@pytest.fixture(scope="session")
def sandbox_image(docker_engine: docker.DockerClient) -> ImageInfo:
    return ensure_image(docker_engine)
