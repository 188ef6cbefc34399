"""Finding an engine, and knowing our own daemon from every other process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine import (
    EngineConfig,
    Started,
    candidate_urls,
    connect,
    daemon_command,
    daemon_settings,
    down,
    live_daemon,
    main,
    process_is,
    read_record,
    stale_pid_files,
    state_folder,
)
from sandbox.errors import EngineError

HOME = Path("/home/someone")


@pytest.fixture
def config(tmp_path: Path) -> EngineConfig:
    return EngineConfig(
        state=tmp_path / "state",
        socket=tmp_path / "docker.sock",
        pid_file=tmp_path / "docker.pid",
        exec_root=tmp_path / "exec",
        data_root=tmp_path / "data",
    )


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_docker_host_is_the_only_candidate() -> None:
    assert candidate_urls({"DOCKER_HOST": "tcp://a:1"}, 1000, HOME, "unix:///ctx") == ["tcp://a:1"]


def test_without_docker_host_context_comes_first_then_rootful_then_rootless() -> None:
    urls = candidate_urls({"XDG_RUNTIME_DIR": "/run/user/7"}, 1000, HOME, "ssh://far")
    assert urls[:3] == ["ssh://far", "unix:///var/run/docker.sock", "unix:///run/user/7/docker.sock"]


def test_no_candidate_is_tried_twice() -> None:
    urls = candidate_urls({}, 0, HOME, "unix:///var/run/docker.sock")
    assert len(urls) == len(set(urls))


def test_an_engine_that_is_not_there_is_an_error_with_what_was_tried_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError) as caught:
        connect()
    assert f"{tmp_path}/none.sock (not there)" in caught.value.what
    assert "unset DOCKER_HOST" in caught.value.fix


def test_a_socket_that_nobody_listens_on_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(EngineError, match="connection refused"):
        connect()


def test_the_command_line_names_the_fix_and_ends_with_1_or_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["status"]) == 1
    assert main(["up"]) == 2
    assert "fix:" in capsys.readouterr().err


def test_our_daemon_gets_neither_bridge_nor_firewall_rules(config: EngineConfig) -> None:
    command = daemon_command(config, group=42)
    assert command[0] == "dockerd"
    assert {"--bridge=none", "--iptables=false", "--ip6tables=false"} <= set(command)
    assert command[command.index("--data-root") + 1] == str(config.data_root)
    assert command[command.index("--group") + 1] == "42"


def test_our_daemon_offers_gvisor_where_it_is_installed_and_keeps_the_machines_own_settings(
    config: EngineConfig,
) -> None:
    assert daemon_settings(config, None) == {}
    present = '{"debug": true, "runtimes": {"other": {"path": "/x"}}}'
    settings = daemon_settings(config, "/usr/bin/runsc", present)
    assert settings["debug"] is True
    assert settings["runtimes"]["other"] == {"path": "/x"}
    arguments = ["--network=none", "--oci-seccomp"]
    assert settings["runtimes"]["runsc"] == {"path": "/usr/bin/runsc", "runtimeArgs": arguments}
    with pytest.raises(EngineError, match="no JSON"):
        daemon_settings(config, None, "{")


def test_a_process_is_known_by_name_and_start_time(sleeper: subprocess.Popen[bytes]) -> None:
    process = psutil.Process(sleeper.pid)
    name, start = process.name(), process.create_time()
    assert process_is(sleeper.pid, name, start)
    assert not process_is(sleeper.pid, "dockerd", start)
    assert not process_is(sleeper.pid, name, start - 60)
    sleeper.kill()
    sleeper.wait()
    assert not process_is(sleeper.pid, name, start)


def test_pid_files_of_the_dead_of_others_and_with_rubbish_are_stale(
    config: EngineConfig, sleeper: subprocess.Popen[bytes]
) -> None:
    assert stale_pid_files(config) == []
    containerd = config.exec_root / "containerd" / "containerd.pid"
    containerd.parent.mkdir(parents=True)
    for pid, text in ((config.pid_file, str(sleeper.pid)), (containerd, "rubbish")):
        pid.write_text(text)
    assert stale_pid_files(config) == [config.pid_file, containerd]
    assert live_daemon(config) is None


def test_down_leaves_a_process_alone_that_is_not_our_daemon(
    config: EngineConfig, sleeper: subprocess.Popen[bytes]
) -> None:
    config.state.mkdir()
    record = {"pid": sleeper.pid, "start_time": psutil.Process(sleeper.pid).create_time()}
    config.record.write_text(json.dumps(record))
    said: list[str] = []
    assert down(config, said.append) is False
    assert sleeper.poll() is None
    assert "nothing to stop" in said[0]
    assert not config.record.exists()


def test_down_without_a_record_stops_nothing(config: EngineConfig) -> None:
    assert down(config, lambda _: None) is False


@given(st.text(max_size=40))
def test_a_record_that_cannot_be_read_is_none(text: str) -> None:
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    path = folder / f"record-{os.getpid()}.json"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        assert read_record(path) is None
        path.write_text('{"pid": 3, "start_time": 1.5}')
        assert read_record(path) == Started(3, 1.5)
    finally:
        path.unlink()


def test_state_is_kept_where_the_user_says() -> None:
    assert state_folder({"XDG_STATE_HOME": "/s"}) == Path("/s/code-optimise/engine")
    assert state_folder({"HOME": "/h"}) == Path("/h/.local/state/code-optimise/engine")
