"""Files as a power cut or a bad disk leaves them: half a row, zeros at the end, a record that ends in the middle."""

from __future__ import annotations

import pytest

from tests.faults.stages import BY_NAME, WITHOUT_DOCKER, patiently

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
TORN = {
    "sample": ["samples/x/starter/train/samples.jsonl"],
    "annotate: verdicts": ["samples/x/starter/train/executions.jsonl"],
}
TAILS = {
    "half a row": lambda whole: whole[:-40],
    "zeros after the last row": lambda whole: whole + b"\0" * 5000,
    "zeros in place of the last rows": lambda whole: whole[:-300] + b"\0" * 300,
}
MANIFESTS = {
    "annotate: verdicts": "samples/x/starter/train/manifest.json",
    "train: sft": "models/x/sft-25/manifest.json",
    "import": "samples/x/starter/train/manifest.json",
}


def run(world, stage):
    return patiently(lambda: world.forks.run(world.words(stage)), lambda ended: ended.printed)


def finish(world, stage):
    world.begin(stage)
    assert run(world, stage).code == 0


def parameters(names):
    return [pytest.param(name, marks=() if name in WITHOUT_DOCKER else pytest.mark.docker) for name in names]


@pytest.mark.parametrize("name", parameters(TORN))
def test_what_is_torn_is_made_again(world, name):
    stage = BY_NAME[name]
    finish(world, stage)
    for what, tail in TAILS.items():
        for torn in TORN[name]:
            path = world.root / torn
            path.write_bytes(tail(path.read_bytes()))
        assert run(world, stage).code == 0
        assert world.differences(stage) == [], what


@pytest.mark.parametrize("name", parameters(MANIFESTS))
def test_a_spoilt_record_is_named_and_the_fix_told_helps(world, name):
    stage = BY_NAME[name]
    finish(world, stage)
    path = world.root / MANIFESTS[name]
    path.write_bytes(path.read_bytes()[:-100])
    ended = run(world, stage)
    assert ended.code == 2, ended.printed
    assert f"where: {path}" in ended.printed
    assert "fix: delete this file and run the same command" in ended.printed
    if stage.training:
        for each in path.parent.rglob("*"):
            if each.is_file():
                each.unlink()
    path.unlink(missing_ok=True)
    words = [*world.words(stage), *(["--overwrite"] if name == "import" else [])]
    again = patiently(lambda: world.forks.run(words), lambda ended: ended.printed)
    assert again.code == 0, again.printed
    assert [one for one in world.differences(stage) if "manifest.json" not in one] == []
