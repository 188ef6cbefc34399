"""A real second engine is started and stopped; a real image is built and looked into."""

from __future__ import annotations

import contextlib
import json

import docker
import pytest

from sandbox.engine import EngineConfig, down, engine_url, live_daemon, privilege, process_is, start_daemon
from sandbox.image import BASE_LABEL, ImageInfo, ensure_image, find_image

pytestmark = pytest.mark.docker

LOOK = """
import json, os, stat, sys
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(folder, f) not in ("/proc", "/sys", "/dev")]
    for name in folders + files:
        mode = os.lstat(os.path.join(folder, name)).st_mode
        if not stat.S_ISLNK(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            found.append(os.path.join(folder, name))
import guest.wire, json as module
print(json.dumps({
    "privileged": found,
    "tools": [t for t in ("apt-get", "dpkg", "pip", "pip3", "su", "mount") if any(
        os.path.exists(os.path.join(p, t)) for p in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin"))],
    "compiled": [os.path.exists(m.__cached__) for m in (module, guest.wire)],
    "python": sys.version_info[:2],
    "finish_left": os.path.exists("/opt/image_finish.py"),
}))
"""


def test_our_own_engine_starts_beside_a_stale_pid_file_and_only_it_is_stopped(
    second: EngineConfig, docker_engine: docker.DockerClient
) -> None:
    second.pid_file.write_text("1")  # alive, but no dockerd
    root = privilege()
    assert root is not None
    said: list[str] = []
    started = start_daemon(second, root, said.append)
    with contextlib.closing(docker.DockerClient(base_url=second.url)) as client:
        assert client.ping()
        assert engine_url(client) == second.url
    assert any("removing" in line for line in said)
    assert process_is(started.pid, "dockerd", started.start_time)
    assert live_daemon(second) == started.pid

    assert down(second, said.append) is True
    assert not process_is(started.pid, "dockerd")
    assert docker_engine.ping()
    assert down(second, said.append) is False


def test_the_image_is_built_once(docker_engine: docker.DockerClient, sandbox_image: ImageInfo) -> None:
    again = ensure_image(docker_engine)
    assert again.built is False
    assert (again.id, again.tag, again.base) == (sandbox_image.id, sandbox_image.tag, sandbox_image.base)
    assert find_image(docker_engine) == again
    assert sandbox_image.id.startswith("sha256:")
    assert docker_engine.images.get(sandbox_image.id).labels[BASE_LABEL] == sandbox_image.base


def test_nothing_in_the_image_gives_privileges_and_all_is_compiled(
    docker_engine: docker.DockerClient, sandbox_image: ImageInfo
) -> None:
    output = docker_engine.containers.run(
        sandbox_image.id, ["-c", LOOK], entrypoint="python3", network_mode="none", read_only=True, remove=True
    )
    seen = json.loads(output)
    assert seen == {
        "privileged": [],
        "tools": [],
        "compiled": [True, True],
        "python": [3, 11],
        "finish_left": False,
    }
