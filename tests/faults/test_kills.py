"""A few points of the matrix that `make bench-faults` runs whole; and that the matrix can see what is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from harness.evaluation.stage import trained_models
from tests.faults.deaths import Death, How, changes
from tests.faults.matrix import COMMAND, Point, points, points_of, strike
from tests.faults.stages import BY_NAME, STAGES, WITHOUT_DOCKER, patiently

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
FEW = {
    "import": {How.EVENT: 2, How.BYTES: 1},
    "sample": {How.EVENT: 1, How.BYTES: 1},
    "annotate: verdicts": {How.BYTES: 1, COMMAND: 1},
    "merge": {How.EVENT: 1, How.BYTES: 1},
    "train: sft": {How.EVENT: 1, How.BYTES: 1},
    "report": {How.BYTES: 1},
    "export: preference": {How.EVENT: 1},
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in WITHOUT_DOCKER else pytest.mark.docker) for name in FEW]
)
def test_after_a_kill_the_same_command_ends_in_the_same_files(world, name):
    for point in points_of(BY_NAME[name], world, FEW[name], seed=7):
        outcome = patiently(lambda point=point: strike(point, world), lambda outcome: outcome.problem)
        assert outcome.good, outcome
        assert outcome.killed or point.victim == COMMAND, outcome


def test_a_point_is_the_same_point_each_time(world):
    stage, left = BY_NAME["sample"], []
    for _ in range(2):
        world.begin(stage)
        ended = world.forks.run(world.words(stage), Death(How.BYTES, 700, str(world.root)))
        assert ended.code < 0
        left.append({path.name: path.read_bytes() for path in world.root.rglob("*.jsonl")})
    assert left[0] == left[1]
    assert len(left[0]["samples.jsonl"]) == 700


@pytest.mark.parametrize("event", [1, 2, 3])
def test_the_kth_event_is_the_last_that_is_not_reached(world, event):
    stage = BY_NAME["import"]
    world.begin(stage)
    ended = world.forks.run(world.words(stage), Death(How.EVENT, event, str(world.root)))
    assert ended.code == -9
    there = len(list(world.root.rglob("*")))
    world.begin(stage)
    world.forks.run(world.words(stage), Death(How.EVENT, event + 1, str(world.root)))
    assert there <= len(list(world.root.rglob("*"))) <= there + 1


@pytest.mark.docker
def test_a_model_that_is_being_written_is_not_evaluated(world, tmp_path):
    shutil.copytree(world.expected(BY_NAME["train: sft"]) / "models/x", tmp_path / "models")
    folder = tmp_path / "models/sft-25"
    assert [model.name for model in trained_models(tmp_path / "models")] == ["sft-25"]
    (folder / "training.json").unlink()  # which comes last
    assert trained_models(tmp_path / "models") == []
    (folder / "manifest.json").unlink()
    assert [model.name for model in trained_models(tmp_path / "models")] == ["sft-25"]  # somebody else's


def test_what_is_wrong_is_seen(world):
    stage = BY_NAME["sample"]
    world.begin(stage)
    world.forks.run(world.words(stage))
    assert world.differences(stage) == []
    path = world.root / stage.grows
    lines = path.read_text().splitlines(keepends=True)

    def told(text):
        path.write_text(text)
        return " ".join(world.differences(stage))

    assert "twice" in told("".join([*lines, lines[0]]))
    assert "not whole" in told("".join(lines)[:-1])
    assert "samples.jsonl" in told("".join(lines[1:]))
    assert "samples.jsonl" in told("".join(lines).replace('"seed": 3', '"seed": 4'))
    assert told("".join(reversed(lines))) == ""
    (path.parent / ".samples.jsonl.tmp").touch()
    assert "left over" in told("".join(lines))
    (path.parent / ".samples.jsonl.tmp").unlink()
    manifest = path.with_name("manifest.json")
    facts = json.loads(manifest.read_text())
    facts["stages"]["sample:tiny"]["facts"]["finish_reasons"] = {}
    manifest.write_text(json.dumps(facts))
    assert "finish_reasons" in told("".join(lines))


def test_points_cover_the_whole_stage():
    stage = replace(STAGES[0], name="s")
    found = points(stage, {How.EVENT: 5, How.BYTES: 4, "warden": 2}, 1, events=50, most_bytes=1000, rows=10)
    assert found == points(stage, {How.EVENT: 5, How.BYTES: 4, "warden": 2}, 1, events=50, most_bytes=1000, rows=10)
    assert found != points(stage, {How.EVENT: 5, How.BYTES: 4, "warden": 2}, 2, events=50, most_bytes=1000, rows=10)
    events = [point.at for point in found if point.how == How.EVENT]
    assert [(at - 1) // 10 for at in events] == [0, 1, 2, 3, 4]
    assert [point.at // 250 for point in found if point.how == How.BYTES] == [0, 1, 2, 3]
    assert [point.at // 5 for point in found if point.victim == "warden"] == [0, 1]
    assert all(isinstance(point, Point) for point in found)


def test_only_changes_below_the_folder_count():
    assert changes("open", ("/a/b/x", "w", 0o1101), "/a/b")
    assert not changes("open", ("/a/b/x", "r", 0), "/a/b")
    assert not changes("open", ("/a/c/x", "w", 0o1101), "/a/b")
    assert changes("os.rename", ("/a/b/x", "/a/b/y", -1, -1), "/a/b")
    assert changes("os.remove", (b"/a/b/x", -1), "/a/b")
    assert not changes("os.remove", (99_999, -1), "/a/b")
    assert not changes("import", ("os",), "/a/b")
