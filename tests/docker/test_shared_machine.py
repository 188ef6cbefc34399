"""Labels on a machine that others use: slower, never wrong.

Two solutions of which one does half as much work again, and a copy of the slower one in other words, are measured as
the annotation does, beside each kind of disturbance. The copy must not be ordered against its original, and the two
must not be ordered the wrong way round. That they are ordered at all is asked for only where the disturbance is mild.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from harness.annotation.measuring import ProblemState, measured_blocks
from harness.annotation.settings import AnnotationSettings
from harness.records import Decision, Problem
from harness.timing.decisions import decide
from sandbox import Sandbox, allowed_cores

pytestmark = pytest.mark.docker

CORE = allowed_cores()[-1]
WORK = "    for i in range({}):\n        t += i * i % 7\n"
QUICK = "def f(n):\n    t = 0\n" + WORK.format("n") + "    return t\n"
SLOW = "def f(n):\n    t = 0\n" + WORK.format("n // 2") + "    t = 0\n" + WORK.format("n") + "    return t\n"
COPY = SLOW.replace("    t = 0\n", "    # from the beginning\n\n    t = 0\n").replace("i ", "number ")
TEST = (
    "def check(candidate):\n"
    f"    assert candidate(300) == {sum(i * i % 7 for i in range(300))}\n"
    f"    assert candidate(900) == {sum(i * i % 7 for i in range(900))}\n"
)
PROGRAMS = {"quick": QUICK, "slow": SLOW, "copy": COPY}
SECONDS = 25.0  # of timing, after which close pairs get no more rounds

SPIN = "while True:\n    sum(range(10_000))\n"
BANDWIDTH = "block = bytearray(64 << 20)\nwhile True:\n    block[:] = bytes(64 << 20)\n"


def decisions() -> dict[frozenset[str], tuple[str, Decision]]:
    """Pair → the one that is quicker by its median ratio, and what was decided."""
    settings = AnnotationSettings(seed=3, timing_seconds=SECONDS, tries=50)  # the machine has weather of its own
    states = [ProblemState(Problem("t", "", TEST, "f", "train", "test"), dict(PROGRAMS))]
    with Sandbox(cores=[CORE]) as sandbox:
        blocks = list(measured_blocks(states, [CORE], sandbox, settings, lambda _: None))
    labels = decide(blocks, settings.decision)
    assert [label.flags for label in labels.labels] == [[], [], []]
    return {
        frozenset({pair.quick_id, pair.slow_id}): (pair.quick_id, pair.decision) for pair in labels.comparisons
    }


def assert_never_wrong(found: dict[frozenset[str], tuple[str, Decision]]) -> None:
    assert found[frozenset({"slow", "copy"})][1] is not Decision.QUICK
    for slow in ("slow", "copy"):
        quick, decision = found[frozenset({"quick", slow})]
        assert decision is not Decision.QUICK or quick == "quick"


@contextmanager
def beside(code: str, core: int) -> Iterator[None]:
    text = f"import os\nos.sched_setaffinity(0, {{{core}}})\n{code}"
    with subprocess.Popen([sys.executable, "-c", text]) as hog:
        try:
            yield
        finally:
            hog.kill()


@contextmanager
def repeatedly(disturb, every_ms: tuple[float, float]) -> Iterator[list[int]]:
    """Call it in a thread again and again; the list counts."""
    stop, count, rng = threading.Event(), [0], random.Random(5)

    def work() -> None:
        while not stop.wait(rng.uniform(*every_ms) / 1_000):
            count[0] += disturb()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("code", [SPIN, BANDWIDTH], ids=["processor", "memory bandwidth"])
def test_a_neighbour_on_the_same_core(sandbox_image, code):
    with beside(code, CORE):
        found = decisions()
    assert_never_wrong(found)
    if code is SPIN:
        assert found[frozenset({"quick", "slow"})] == ("quick", Decision.QUICK)


def test_memory_bandwidth_taken_from_another_core(sandbox_image):
    if len(allowed_cores()) < 2:
        pytest.skip("there is no other core")
    with beside(BANDWIDTH, allowed_cores()[0]):
        found = decisions()
    assert_never_wrong(found)


def test_candidates_stopped_and_let_go_on_at_random(sandbox_image):
    """By somebody who may, such as a batch system: CPU time does not see it."""

    def stop_one() -> int:
        stopped = 0
        for process in psutil.process_iter(["uids"]):
            with suppress(psutil.Error, OSError):
                if process.info["uids"].real >= 20_000 and "candidates" in " ".join(process.cmdline()):
                    process.suspend()
                    time.sleep(0.004)
                    process.resume()
                    stopped += 1
        return stopped

    with repeatedly(stop_one, (5, 40)) as count:
        found = decisions()
    assert count[0] > 20
    assert_never_wrong(found)


def test_a_stepped_wall_clock(sandbox_image):
    """No clock of ours is the wall clock, so nothing notices. Moves this machine's clock, so it must be asked for."""
    if os.environ.get("STEP_CLOCK") != "1":
        pytest.skip("STEP_CLOCK=1 lets this test move the machine's clock by a minute and back, again and again")

    def step() -> int:
        time.clock_settime(time.CLOCK_REALTIME, time.time() + 60)
        time.sleep(0.01)
        time.clock_settime(time.CLOCK_REALTIME, time.time() - 60)
        return 1

    with repeatedly(step, (20, 60)) as count:
        found = decisions()
    assert count[0] > 20
    assert_never_wrong(found)
    assert found[frozenset({"quick", "slow"})] == ("quick", Decision.QUICK)
