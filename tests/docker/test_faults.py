"""Faults of ours and of the engine: never a verdict on the solution, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from sandbox import Job, Limits, Sandbox, SandboxError, Verdict
from sandbox.container import (
    LABEL,
    OWNER_LABEL,
    SLOTS,
    ContainerSpec,
    WardenContainer,
    create_options,
    lockdown_problems,
    owner,
)
from sandbox.engine import connect

pytestmark = pytest.mark.docker

TEST = "def check(candidate):\n    assert candidate(4) == 8\n"
SLOW = "import time\ndef f(x):\n    time.sleep(2)\n    return 2 * x\n"
QUICK = "def f(x):\n    return 2 * x\n"


@pytest.fixture
def client():
    engine = connect()
    yield engine
    engine.close()


def ours(client, owned_by):
    return [
        container
        for container in client.containers.list(all=True, ignore_removed=True, filters={"label": LABEL})
        if container.labels[OWNER_LABEL] == owned_by
    ]


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_killed_container_is_replaced_and_the_run_repeated(client):
    with Sandbox(cores=[0], limits=Limits(wall_seconds=8)) as sandbox:
        assert sandbox.run(Job(QUICK, TEST, "f")).attempts == 1
        killer = threading.Timer(0.7, lambda: [container.kill() for container in ours(client, owner())])
        killer.start()
        run = sandbox.run(Job(SLOW, TEST, "f"))
        killer.join()
    assert (run.verdict, run.attempts) == (Verdict.PASSED, 2)


def test_a_run_that_breaks_every_container_ends_as_internal(client):
    with Sandbox(cores=[0], limits=Limits(wall_seconds=8)) as sandbox:
        stop = threading.Event()

        def keep_killing():
            while not stop.wait(0.2):
                for container in ours(client, owner()):
                    try:
                        container.kill()
                    except Exception:  # already gone, or not yet started
                        pass

        thread = threading.Thread(target=keep_killing)
        thread.start()
        try:
            run = sandbox.run(Job(SLOW, TEST, "f"))
        except SandboxError:  # killed while it was starting: the sandbox cannot be had, and says so
            run = None
        finally:
            stop.set()
            thread.join()
        assert run is None or run.verdict is Verdict.INTERNAL
        assert sandbox.run(Job(QUICK, TEST, "f")).verdict is Verdict.PASSED


def test_nothing_is_left_after_a_normal_end(client):
    with Sandbox(cores=[0]) as sandbox:
        sandbox.run(Job(QUICK, TEST, "f"))
        assert len(ours(client, owner())) == 1
    assert ours(client, owner()) == []


def test_what_a_killed_process_leaves_is_removed_at_the_next_start(client):
    script = (
        "import time\nfrom sandbox import Job, Sandbox\nfrom sandbox.container import owner\n"
        f"with Sandbox(cores=[0]) as sb:\n    sb.run(Job({QUICK!r}, {TEST!r}, 'f'))\n"
        "    print(owner(), flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        other = process.stdout.readline().strip()
        assert len(ours(client, other)) == 1
        os.kill(process.pid, signal.SIGSTOP)  # its end of the pipe stays open: the container lives on
        lasting = ours(client, other)
        process.kill()
        assert lasting
    with Sandbox(cores=[0]):
        assert ours(client, other) == []


def test_the_container_goes_with_its_host(client):
    """A container whose host side is gone does not idle on: the end of its input is the end of it."""
    script = (
        "import os, time\nfrom sandbox import Job, Sandbox\nfrom sandbox.container import owner\n"
        f"with Sandbox(cores=[0]) as sb:\n    sb.run(Job({QUICK!r}, {TEST!r}, 'f'))\n"
        "    print(owner(), flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        other = process.stdout.readline().strip()
        os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: ours(client, other) == [])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cap_add": ["SETUID", "SETGID", "KILL", "CHOWN"]}, "capabilities"),
        ({"read_only": False}, "root file system"),
        ({"network_mode": "host"}, "network"),
        ({"security_opt": []}, "no_new_privileges"),
        ({"security_opt": ["no-new-privileges:true", "seccomp=unconfined"]}, "seccomp"),
        ({"pids_limit": None}, "process limit"),
        ({"mem_limit": None, "memswap_limit": None}, "memory limit"),
        ({"tmpfs": {f"/scratch/{index}": "rw,mode=0777" for index in range(SLOTS)}}, "scratch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_limit_is_noticed_from_inside_and_refused(client, monkeypatch, change, complaint):
    with Sandbox(cores=[0]) as sandbox:
        image = sandbox.image.id
    spec = ContainerSpec(image, 0, Limits())
    monkeypatch.setattr("sandbox.container.create_options", lambda spec, uids: create_options(spec, uids) | change)
    with pytest.raises(SandboxError, match=complaint):
        WardenContainer(client, spec)
    assert ours(client, owner()) == []


def test_the_lockdown_asked_for_is_the_lockdown_found(client):
    with Sandbox(cores=[0]) as sandbox:
        spec = ContainerSpec(sandbox.image.id, 0, Limits())
    container = WardenContainer(client, spec)
    try:
        assert lockdown_problems(spec, container.hello) == []
        assert container.hello["interfaces"] == ["lo"]
    finally:
        container.close()


def test_jobs_are_read_as_needed_and_results_come_in_order():
    read = []

    def jobs():
        for number in range(300):
            read.append(number)
            yield Job(f"def f(x):\n    return {number}\n", TEST, "f")

    with Sandbox(cores=[0]) as sandbox:
        results = sandbox.run_many(jobs())
        first = next(results)
        assert first.verdict is Verdict.WRONG
        assert len(read) < 100
        results.close()
        assert sandbox.run(Job(QUICK, TEST, "f")).verdict is Verdict.PASSED


def test_every_job_has_its_result_however_many_there_are():
    """More jobs than are handed out at a time, slow readers included: none is left out."""
    jobs = [Job(f"def f(x):\n    return {number % 3 and 8}\n", TEST, "f") for number in range(500)]
    with Sandbox(cores=[0]) as sandbox:
        verdicts = []
        for run in sandbox.run_many(iter(jobs)):
            verdicts.append(run.verdict)
            if len(verdicts) % 50 == 0:
                time.sleep(0.3)  # all that is handed out finishes meanwhile
    assert verdicts == [Verdict.PASSED if number % 3 else Verdict.WRONG for number in range(500)]


def without_empty_proc(options):
    return options | {"tmpfs": {path: how for path, how in options["tmpfs"].items() if path != "/proc"}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without_empty_proc, "/proc shows processes"),
        (lambda options: options | {"security_opt": ["no-new-privileges:true"]}, "socket AF_UNIX: allowed"),
        (lambda options: options | {"cap_add": [*options["cap_add"], "CHOWN"]}, "capabilities"),
        (lambda options: options | {"read_only": False}, "root file system"),
        (lambda options: options | {"cpuset_cpus": ""}, "CpusetCpus"),
        (lambda options: options | {"mem_limit": None, "memswap_limit": None}, "Memory is"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_limit_is_refused_under_gvisor_too(client, monkeypatch, change, complaint):
    if "runsc" not in (client.info().get("Runtimes") or {}):
        pytest.skip("the engine has no runtime runsc")
    with Sandbox(cores=[0]) as sandbox:
        image = sandbox.image.id
    spec = ContainerSpec(image, 0, Limits(), runtime="runsc", gvisor=True)
    monkeypatch.setattr("sandbox.container.create_options", lambda spec, uids: change(create_options(spec, uids)))
    with pytest.raises(SandboxError, match=complaint):
        WardenContainer(client, spec)
    assert ours(client, owner()) == []
