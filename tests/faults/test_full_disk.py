"""A disk that is full and a folder that is read-only: told with what, where and the fix; what was there stays; and with
the cause gone, the same command goes on."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from harness.errors import UserError
from harness.store import AppendFile, Manifest, locked, write_atomically, write_rows
from tests.faults import equality
from tests.faults.conftest import unmount
from tests.faults.stages import BY_NAME, STAGES, WITHOUT_DOCKER, patiently

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
# These write as those beside them do.
ALIKE = ("annotate: times", "train: dpo", "train: rloo", "export: outputs")
NAMES = [stage.name for stage in STAGES if stage.name not in ALIKE]


def parameters(names):
    return [pytest.param(name, marks=() if name in WITHOUT_DOCKER else pytest.mark.docker) for name in names]



def run(world, stage):
    return patiently(lambda: world.forks.run(world.words(stage)), lambda ended: ended.printed)


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*"))


def leave(disk, room):
    """Make a tmpfs as small as leaves so many bytes, in whole pages."""
    left = shutil.disk_usage(disk).used + 4096 * max(1, room // 4096)
    subprocess.run(["mount", "-o", f"remount,size={left}", str(disk)], check=True)


@pytest.mark.parametrize("name", parameters(NAMES))
def test_a_full_disk(world, mount, name):
    stage = BY_NAME[name]
    whole = size(world.expected(stage))
    world.begin(stage)
    before = size(world.root)
    mount(world.root, "size=256m")
    leave(world.root, (whole - before) // 3)
    ended = run(world, stage)
    assert ended.code == 2, ended.printed
    assert "the disk is full" in ended.printed
    assert f"where: {world.root}" in ended.printed
    assert "make room and run the same command again" in ended.printed
    assert "Traceback" not in ended.printed
    for path in world.root.rglob("*.jsonl"):
        assert path.read_bytes() == b"" or path.read_bytes().endswith(b"\n")
    subprocess.run(["mount", "-o", "remount,size=256m", str(world.root)], check=True)
    again = run(world, stage)
    assert again.code == 0, again.printed
    assert world.differences(stage) == []


@pytest.mark.parametrize("name", parameters(NAMES))
def test_a_read_only_folder(world, mount, tmp_path, name):
    stage = BY_NAME[name]
    world.begin(stage)
    shutil.copytree(world.root, tmp_path / "before")
    mount(world.root, "ro")
    ended = run(world, stage)
    assert ended.code == 2, ended.printed
    assert "this file system is read-only" in ended.printed
    assert f"where: {world.root}" in ended.printed
    assert "fix: have it mounted for writing" in ended.printed
    assert equality.differences(tmp_path / "before", world.root, {}) == []
    unmount(world.root)
    again = run(world, stage)
    assert again.code == 0, again.printed
    assert world.differences(stage) == []


def append(path, count):
    with AppendFile(path) as file:
        for number in range(count):
            file.append({"n": number, "text": "x" * 100})


def test_a_row_that_finds_room_for_a_part(tmp_path, mount):
    """The part is taken away again, so that whatever reads the file meanwhile sees whole rows."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, "size=20k")
    with pytest.raises(UserError, match="the disk is full") as error:
        append(disk / "rows.jsonl", 10_000)
    assert error.value.where == f"{disk / 'rows.jsonl'} (0.0 of 0.0 MB are free)"
    lines = (disk / "rows.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) > 20
    assert all(line.endswith("\n") for line in lines)


def test_a_whole_file_that_finds_no_room(tmp_path, mount):
    disk = tmp_path / "disk"
    disk.mkdir()
    write_atomically(disk / "file", "old")
    mount(disk, "size=64k")
    with pytest.raises(UserError, match="the disk is full") as error:
        write_atomically(disk / "file", b"x" * 1_000_000)
    assert error.value.where.startswith(str(disk / "file"))
    with pytest.raises(UserError, match="the disk is full"):
        write_rows(disk / "file", ({"n": number} for number in range(100_000)))
    assert (disk / "file").read_text() == "old"
    assert [path.name for path in disk.iterdir()] == ["file"]


def test_a_folder_that_may_not_be_written(tmp_path, mount):
    Manifest(tmp_path).begin("stage", {"n": 1})
    mount(tmp_path, "ro")
    attempts = (
        lambda: AppendFile(tmp_path / "new" / "rows.jsonl"),
        lambda: write_atomically(tmp_path / "file", ""),
        lambda: Manifest(tmp_path).note("stage", fact=1),
        lambda: locked(tmp_path).__enter__(),
    )
    for attempt in attempts:
        with pytest.raises(UserError, match="read-only") as error:
            attempt()
        assert error.value.where.startswith(str(tmp_path))
    assert Manifest(tmp_path).stage("stage") == {"settings": {"n": 1}, "facts": {}}
