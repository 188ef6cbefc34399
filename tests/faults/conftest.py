"""One world for all tests of faults: what a stage leaves undisturbed is made once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.faults.forks import FOR_THE_REST, FOR_TRAINING, Forks
from tests.faults.stages import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("faults")
    forks = Forks((*FOR_TRAINING, *FOR_THE_REST), folder / "printed")
    yield World(folder, forks)
    forks.close()


Mount = Callable[[Path, str], None]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts over a folder, content included: `size=…` a disk of that size, `ro` the folder itself, read-only."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    with ExitStack() as stack:

        def over(folder: Path, options: str) -> None:
            if options == "ro":
                _mount("--bind", str(folder), str(folder))
                stack.callback(unmount, folder)
                _mount("-o", "remount,ro,bind", str(folder))
                return
            shutil.copytree(folder, tmp_path / "content")
            _mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
            stack.callback(unmount, folder)
            shutil.copytree(tmp_path / "content", folder, dirs_exist_ok=True)

        yield over


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    with suppress(subprocess.CalledProcessError):  # it is not mounted any more
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
