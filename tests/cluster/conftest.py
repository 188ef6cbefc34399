"""One cluster of two nodes for all tests, and the annotation that theirs are compared with."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.problems.starter_set import starter_solutions
from sandbox import allowed_cores
from tests.cluster.two_nodes import FAILING, PROBLEMS, Cluster, Experiment


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Cluster]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter", "taskset"))):
        pytest.fail("two hosts on one machine take root, iproute2 and util-linux; SKIP_RAY=1 leaves these tests out")
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # short: sockets lie there
        cluster = Cluster(Path(folder))
        cluster.down()  # what a killed run of these tests left
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.down()


@pytest.fixture
def cluster(ray_cluster: Cluster) -> Iterator[Cluster]:
    """Both nodes are there."""
    ray_cluster.mend()
    yield ray_cluster
    ray_cluster.heal()


@pytest.fixture(scope="session")
def known_samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("known") / "known.jsonl"
    with path.open("w") as stream:
        for task_id, solutions in list(starter_solutions().items())[:PROBLEMS]:
            for code in (*(solution.code for solution in solutions[:2]), *FAILING):
                stream.write(json.dumps({"task_id": task_id, "completion": code}) + "\n")
    return path


@pytest.fixture
def experiment(tmp_path: Path, known_samples: Path) -> Experiment:
    return Experiment(tmp_path / "runs", known_samples)


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, known_samples: Path, sandbox_image: object) -> Experiment:
    """The same input, annotated on this machine."""
    done = Experiment(tmp_path_factory.mktemp("local") / "runs", known_samples)
    done.run("--engine", "local", "--cores", allowed_cores()[0])
    return done
