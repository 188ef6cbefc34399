"""Two commands on one folder at once: the second is refused at once and changes nothing, the first ends as if alone.

The first is stopped (SIGSTOP) at a change on the disk that it is about to make, which it makes in the middle.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.deaths import Death, How
from tests.faults.stages import BY_NAME, IN_USE, STAGES, WITHOUT_DOCKER

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
NAMES = [stage.name for stage in STAGES if stage.name not in ("annotate: times", "train: dpo")]


def stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "TZ"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in WITHOUT_DOCKER else pytest.mark.docker) for name in NAMES]
)
def test_the_second_is_refused(world, name):
    stage = BY_NAME[name]
    world.expected(stage)
    # merge holds the folders of one split after the other: before the middle.
    middle = int((0.4 if name == "merge" else 0.6) * world.undisturbed[name].events)
    for _ in range(60):
        world.begin(stage)
        first = world.forks.start(world.words(stage), Death(How.STOP, middle, str(world.root)))
        try:
            while not stopped(first):
                time.sleep(0.01)
            second = world.forks.run(world.words(stage))
        finally:
            os.kill(first, signal.SIGCONT)
            ended = world.forks.wait(first)
        if IN_USE not in ended.printed:  # the cores, by somebody else
            break
        time.sleep(5)
    assert second.code == 2, second.printed
    assert "another command is" in second.printed
    assert f"where: {world.root}" in second.printed
    assert "fix: wait for it, or end it" in second.printed
    assert ended.code == 0, ended.printed
    assert world.differences(stage) == []
