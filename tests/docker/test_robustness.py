"""Everything around a run can break, at any time: engine, container, each process of ours. No verdict is wrong for it,
nothing is lost, nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import docker
import psutil
import pytest

from sandbox import Integrity, Job, Limits, Sandbox, SandboxError, Verdict
from sandbox.container import owner
from sandbox.engine import EngineConfig, down
from sandbox.image import ImageInfo
from sandbox.stream import EngineStream
from tests.docker.conftest import MakeConfig, start_with_image
from tests.docker.test_faults import ours, wait_for

pytestmark = pytest.mark.docker

TEST = "def check(candidate):\n    assert candidate(4) == 8\n"
QUICK = Job("def f(x):\n    return 2 * x\n", TEST, "f")
WRONG = Job("def f(x):\n    return x\n", TEST, "f")
NAP = Job("import time\ndef f(x):\n    time.sleep(0.3)\n    return 2 * x\n", TEST, "f")
SLEEPER = Job("import time\ndef f(x):\n    time.sleep(60)\n", TEST, "f")


def guest_processes(client: docker.DockerClient, role: str) -> list[psutil.Process]:
    """The host's view of our processes in our containers: "warden", "zygote … candidates", "zygote … judges"."""
    found = []
    for container in ours(client, owner()):
        for row in container.top(ps_args="-eo pid,args")["Processes"]:
            if role in row[-1]:
                with contextlib.suppress(psutil.NoSuchProcess):  # a candidate has its zygote's arguments
                    found.append(psutil.Process(int(row[0])))
    return found


@pytest.mark.parametrize("role", ["guest.warden", "candidates", "judges"])
def test_any_process_of_ours_may_be_killed(docker_engine: docker.DockerClient, role: str) -> None:
    jobs = [NAP, QUICK, WRONG, QUICK] * 6
    with Sandbox(cores=[0]) as sandbox:
        runs = sandbox.run_many(jobs)
        results = [next(runs)]
        victims = guest_processes(docker_engine, role)
        assert victims
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):  # it may go with the one before
                victim.kill()
        results += runs
    assert [run.verdict for run in results] == [Verdict.PASSED, Verdict.PASSED, Verdict.WRONG, Verdict.PASSED] * 6
    assert max(run.attempts for run in results) > 1
    assert ours(docker_engine, owner()) == []


def test_an_engine_that_restarts_costs_time_and_nothing_else(
    second: EngineConfig, docker_engine: docker.DockerClient, sandbox_image: ImageInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_with_image(second, docker_engine, sandbox_image)
    monkeypatch.setenv("DOCKER_HOST", second.url)

    def restart() -> None:
        down(second, lambda _: None)
        time.sleep(1)
        start_with_image(second, docker_engine, sandbox_image)

    with Sandbox(cores=[0]) as sandbox:
        runs = sandbox.run_many([NAP, QUICK, WRONG] * 20)
        results = [next(runs)]
        restarting = threading.Thread(target=restart)
        restarting.start()
        results += runs
        restarting.join()
    assert [run.verdict for run in results] == [Verdict.PASSED, Verdict.PASSED, Verdict.WRONG] * 20
    assert max(run.attempts for run in results) > 1


def test_an_engine_that_stays_away_is_an_error_with_a_fix(
    second: EngineConfig, docker_engine: docker.DockerClient, sandbox_image: ImageInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_with_image(second, docker_engine, sandbox_image)
    monkeypatch.setenv("DOCKER_HOST", second.url)
    monkeypatch.setattr("sandbox.pool.ENGINE_SECONDS", 2.0)
    with Sandbox(cores=[0]) as sandbox:
        assert sandbox.run(QUICK).passed
        down(second, lambda _: None)
        with pytest.raises(SandboxError, match="engine is gone") as caught:
            sandbox.run(QUICK)
    assert "goes on" in caught.value.fix


def test_user_namespaces_are_noticed_and_used(
    make_config: MakeConfig,
    docker_engine: docker.DockerClient,
    sandbox_image: ImageInfo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With userns-remap, root in the container is nobody on the host, and only small uids exist."""
    config = make_config(map_users=True)
    start_with_image(config, docker_engine, sandbox_image)
    monkeypatch.setenv("DOCKER_HOST", config.url)
    with Sandbox(cores=[0]) as sandbox:
        uid = sandbox.run(Job("import os\ndef f():\n    return os.getuid() < 65536\n", _gives(True), "f"))
        mapped = "def f():\n    return open('/proc/self/uid_map').read().split()[1] != '0'\n"
        runs = list(sandbox.run_many([QUICK, WRONG, Job(mapped, _gives(True), "f")]))
    assert uid.passed
    assert [run.verdict for run in runs] == [Verdict.PASSED, Verdict.WRONG, Verdict.PASSED]
    assert {run.integrity for run in runs} == {Integrity.STRONG}


def _gives(value: object) -> str:
    return f"def check(candidate):\n    assert candidate() == {value!r}\n"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_host_process_is_stopped(docker_engine: docker.DockerClient, sent: int) -> None:
    script = (
        "from sandbox import Job, Sandbox\nfrom sandbox.container import owner\n"
        f"with Sandbox(cores=[0]) as sb:\n    print(owner(), flush=True)\n    sb.run({SLEEPER!r})\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        other = process.stdout.readline().strip()
        wait_for(lambda: len(ours(docker_engine, other)) == 1)
        time.sleep(0.5)
        os.kill(process.pid, sent)
        process.wait(timeout=20)
    wait_for(lambda: ours(docker_engine, other) == [])


def test_memory_that_runs_out_on_the_host_side_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = EngineStream.feed, [MemoryError()]

    def feed(self: EngineStream, data: bytes) -> list[dict[str, object]]:
        if failures:
            raise failures.pop()
        return real(self, data)

    with Sandbox(cores=[0]) as sandbox:
        monkeypatch.setattr(EngineStream, "feed", feed)
        runs = list(sandbox.run_many([QUICK, WRONG] * 10))
    assert not failures
    assert [run.verdict for run in runs] == [Verdict.PASSED, Verdict.WRONG] * 10


def test_solutions_that_sleep_or_loop_do_not_hold_up_the_rest() -> None:
    loop = Job("def f(x):\n    while True:\n        pass\n", TEST, "f")
    with Sandbox(cores=[0], limits=Limits(cpu_seconds=1.0, wall_seconds=3.0)) as sandbox:
        sandbox.run(QUICK)
        begin = time.monotonic()
        runs = list(sandbox.run_many([SLEEPER] * 6 + [loop] + [QUICK] * 50))
        seconds = time.monotonic() - begin
    assert [run.verdict for run in runs[:7]] == [Verdict.TIMEOUT_WALL] * 6 + [Verdict.TIMEOUT_CPU]
    assert all(run.passed for run in runs[7:])
    assert seconds < 12  # one after the other they would sleep for 18 s


def test_who_used_up_the_memory_is_found_out(docker_engine: docker.DockerClient) -> None:
    """The kernel kills the largest process. That may be a neighbour's: it is run again, alone."""
    hog = Job(
        "import os, time\ndef f(x):\n    for _ in range(8):\n        if os.fork() == 0:\n"
        "            held = bytearray(os.urandom(1)) * (240 << 20)\n            time.sleep(60)\n    time.sleep(60)\n",
        TEST,
        "f",
    )
    large = Job(
        "import time\ndef f(x):\n    held = bytearray(b'x') * (400 << 20)\n    time.sleep(1)\n    return 2 * x\n",
        TEST,
        "f",
    )
    with Sandbox(cores=[0], limits=Limits(wall_seconds=6.0)) as sandbox:
        runs = list(sandbox.run_many([large, hog, large, QUICK, WRONG, large]))
    assert [run.verdict for run in runs] == [
        Verdict.PASSED, Verdict.TIMEOUT_WALL, Verdict.PASSED, Verdict.PASSED, Verdict.WRONG, Verdict.PASSED,
    ]  # fmt: skip


def test_too_many_faults_of_ours_end_the_work(docker_engine: docker.DockerClient) -> None:
    with Sandbox(cores=[0], internal_limit=0.0) as sandbox:
        assert sandbox.run(QUICK).passed
        stop = threading.Event()

        def keep_killing() -> None:
            while not stop.wait(0.15):
                for container in ours(docker_engine, owner()):
                    with contextlib.suppress(docker.errors.APIError):
                        container.kill()

        killer = threading.Thread(target=keep_killing)
        killer.start()
        try:
            with pytest.raises(SandboxError):
                list(sandbox.run_many([NAP] * 200))
        finally:
            stop.set()
            killer.join()


def test_async_twins() -> None:
    async def jobs():
        for job in (QUICK, WRONG, QUICK):
            await asyncio.sleep(0)
            yield job

    async def work() -> list[Verdict]:
        async with Sandbox(cores=[0]) as sandbox:
            one = await sandbox.run_async(QUICK)
            from_source = [run.verdict async for run in sandbox.run_many_async(jobs())]
            several = await asyncio.gather(*(sandbox.run_async(job) for job in (WRONG, QUICK)))
            return [one.verdict, *from_source, *(run.verdict for run in several)]

    passed, wrong = Verdict.PASSED, Verdict.WRONG
    assert asyncio.run(work()) == [passed, passed, wrong, passed, wrong, passed]
