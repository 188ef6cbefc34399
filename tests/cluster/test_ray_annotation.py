"""Annotating on two nodes: the verdicts of a local run, whatever dies on the way, and nothing lost or doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, Cluster, Experiment, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def assert_as_local(experiment: Experiment, local: Experiment) -> None:
    assert experiment.verdicts() == local.verdicts()
    assert {task for task, _, _ in experiment.blocks()} == {task for task, _, _ in local.blocks()}
    backwards = {(task, quick, slow) for task, slow, quick in local.decided()}
    assert not backwards & set(experiment.decided())  # what both decide, they decide alike


def hosts_of_labels(experiment: Experiment) -> dict[str, str]:
    """The host whose times a problem's labels are made of: that of its last block."""
    return {task: host for task, host, _ in experiment.blocks()}


def test_both_nodes_work_and_verdicts_are_those_of_a_local_run(cluster: Cluster, local, experiment) -> None:
    experiment.run("--engine", "ray")
    assert_as_local(experiment, local)
    hosts = {host for _, host, _ in experiment.blocks()}
    assert len(hosts) == 2
    per_problem = {(task, host) for task, host, _ in experiment.blocks()}
    assert len(per_problem) == len({task for task, _ in per_problem})  # no problem on two hosts
    before = {path.name: path.read_bytes() for path in experiment.folder.glob("*.jsonl")}
    experiment.run("--engine", "ray")  # nothing is done twice
    assert {path.name: path.read_bytes() for path in experiment.folder.glob("*.jsonl")} == before


def test_a_killed_worker_is_replaced(cluster: Cluster, local, experiment) -> None:
    process = experiment.start("--engine", "ray")
    wait_until(lambda: len(experiment.rows("measurements.jsonl")) >= 6)
    (actor,) = cluster.other.named("ray::Host")
    actor.send_signal(signal.SIGKILL)
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    assert "other-host" in printed
    assert_as_local(experiment, local)


def test_a_killed_node_leaves_its_problems_to_the_others(cluster: Cluster, local, experiment) -> None:
    process = experiment.start("--engine", "ray")
    wait_until(lambda: len({host for _, host, _ in experiment.blocks()}) == 2)
    for raylet in cluster.other.named("raylet/raylet"):
        raylet.kill()
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    assert_as_local(experiment, local)
    tasks = {task for task, _, _ in experiment.blocks()}
    begun_there = {task for task in tasks if len({h for t, h, _ in experiment.blocks() if t == task}) == 2}
    for task in begun_there:  # begun on the one, measured anew on the other
        last = hosts_of_labels(experiment)[task]
        assert 0 in {number for t, host, number in experiment.blocks() if (t, host) == (task, last)}


def test_a_node_that_was_cut_off_and_comes_back(cluster: Cluster, local, experiment) -> None:
    process = experiment.start("--engine", "ray")
    wait_until(lambda: len({host for _, host, _ in experiment.blocks()}) == 2)
    cluster.cut()
    wait_until(lambda: process.poll() is not None or not cluster.other.named("raylet/raylet"), 60)
    cluster.heal()
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    assert_as_local(experiment, local)


def test_a_driver_that_is_killed_goes_on_from_its_files(cluster: Cluster, local, experiment) -> None:
    process = experiment.start("--engine", "ray")
    wait_until(lambda: len(experiment.rows("measurements.jsonl")) >= 10)
    process.kill()
    process.wait()
    before = {path.name: path.read_bytes() for path in experiment.folder.glob("*.jsonl")}
    experiment.run("--engine", "ray")
    for name, data in before.items():  # what was finished is still there, and first
        assert (experiment.folder / name).read_bytes().startswith(data[: data.rfind(b"\n") + 1])
    assert_as_local(experiment, local)


def test_drawing_on_the_cluster_gives_the_samples_of_a_local_run(cluster: Cluster, tmp_path: Path) -> None:
    def drawn(name: str, *options: str) -> list[str]:
        words = [sys.executable, "-m", "harness.cli.app", "sample", "--root", str(tmp_path), "--save_path", name]
        words += ["--split", "test", "--limit", "2", "--n_seq", "2", "--temp", "0.8", "--max_new_tokens", "12"]
        done = subprocess.run(
            [*words, *options], env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return sorted((tmp_path / "samples" / name / "starter/test/samples.jsonl").read_text().splitlines())

    assert drawn("cluster", "--engine", "ray") == drawn("local")
