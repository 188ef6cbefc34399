"""Annotating on two nodes: the verdicts of a local run, whatever dies on the way, and nothing lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.two_nodes import ENVIRONMENT, Cluster, Experiment, wait_until
from tests.tiny_llama import save_tiny_llama, smollm2_tokenizer

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def assert_as_local(experiment: Experiment, local: Experiment) -> None:
    assert experiment.verdicts() == local.verdicts()
    assert {task for task, _, _ in experiment.blocks()} == {task for task, _, _ in local.blocks()}
    backwards = {(task, quick, slow) for task, slow, quick in local.decided()}
    assert not backwards & set(experiment.decided())  # what both decide, they decide alike


def agreeing_labels(experiment: Experiment, local: Experiment) -> list[bool]:
    """Whether the 99% intervals of the ratio of run times overlap, for each pair that both decide."""
    here, there = local.decided(), experiment.decided()
    both = sorted(here.keys() & there.keys())
    return [max(here[pair][0], there[pair][0]) <= min(here[pair][1], there[pair][1]) for pair in both]


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
    agree = agreeing_labels(experiment, local)
    assert agree
    assert all(agree)


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
    time.sleep(8)  # until it is given up; then it comes back, and is told so
    cluster.heal()
    printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    assert_as_local(experiment, local)


def test_a_driver_that_is_killed_goes_on_from_its_files(cluster: Cluster, local, experiment) -> None:
    process = experiment.start("--engine", "ray")
    wait_until(lambda: len(experiment.rows("measurements.jsonl")) >= 8)
    process.kill()
    process.wait()
    before = {path.name: path.read_bytes() for path in experiment.folder.glob("*.jsonl")}
    experiment.run("--engine", "ray")
    for name, data in before.items():  # what was finished is still there, and first
        assert (experiment.folder / name).read_bytes().startswith(data[: data.rfind(b"\n") + 1])
    assert_as_local(experiment, local)


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    save_tiny_llama(tmp_path / "tiny", smollm2_tokenizer(), width=32, layers=2, heads=2)
    return tmp_path / "tiny"


def test_drawing_on_the_cluster_gives_the_samples_of_a_local_run(cluster: Cluster, tiny_model, tmp_path: Path) -> None:
    """Though one of those who draw is killed. Rows are in other batches: a last bit, and so a token, may differ."""

    def draw(name: str, *options: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "harness.cli.app", "sample", "--root", str(tmp_path), "--save_path", name]
        words += ["--model_path", str(tiny_model), "--split", "test", "--n_seq", "6", "--max_new_tokens", "12"]
        words += options
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=os.environ | ENVIRONMENT, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def drawn(name: str) -> dict[tuple[str, int], str]:
        path = tmp_path / "samples" / name / "starter/test/samples.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        found = {(row["task_id"], row["sample_id"]): row["completion"] for row in rows}
        assert len(found) == len(rows)
        return found

    local, there = draw("local"), draw("cluster", "--engine", "ray")
    wait_until(lambda: drawn("cluster"))
    (actor,) = cluster.other.named("ray::Drawer")
    actor.send_signal(signal.SIGKILL)
    for process in (local, there):
        printed, _ = process.communicate(timeout=200)
        assert process.returncode == 0, printed
    one, other = drawn("local"), drawn("cluster")
    assert one.keys() == other.keys()
    assert len(one) > 3 * 16  # several chunks for each of two actors
    assert sum(one[key] == other[key] for key in one) > 0.9 * len(one)
