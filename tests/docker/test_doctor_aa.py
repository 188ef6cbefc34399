"""Doctor's trials in the real sandbox: the lock-down of a container, and the A/A run.

What the A/A run finds of the machine is not asserted: it depends on who else is at work on it.
"""

from __future__ import annotations

import os

import pytest

from harness.annotation.executing import job_for
from harness.doctor import aa, look
from harness.doctor.checks import Status, examine, lockdown
from harness.progress import SilentReporter
from sandbox import Block, Sandbox, TimedSolution

pytestmark = pytest.mark.docker

CORE = max(os.sched_getaffinity(0))


def test_a_container_shows_its_lock_down_in_a_moment(tmp_path):
    facts = look.look(tmp_path, core=CORE)
    assert lockdown(facts).status is Status.OK
    assert facts.lockdown.seconds < 10
    assert facts.watched_seconds >= facts.lockdown.seconds


def test_the_work_of_every_kind_is_of_a_size_that_can_be_timed():
    """5 µs to 1 ms a pass: no shorter than the clock is good for, no longer than a doctor's visit allows."""
    with Sandbox(cores=[CORE]) as sandbox:
        for kind in aa.KINDS:
            problem = aa.problem(kind)
            one = TimedSolution("0", job_for(problem, aa.variants(kind)[0]))
            (timing,) = sandbox.measure(Block("b", (one,), hash_seed=1), core=CORE).timings
            assert timing.execution.passed, timing.execution
            assert 2_000 < min(timing.cpu_ns) / timing.loops < 2_000_000


@pytest.mark.timeout(180)
def test_identical_programs_are_never_told_apart():
    begun = []

    class Reporter(SilentReporter):
        def task(self, label, total, **options):
            begun.append((label, total))
            return super().task(label, total, **options)

    facts = aa.run_aa(CORE, Reporter())
    assert begun == [("A/A run", 45)]
    assert facts.decided == 0
    assert facts.core == CORE
    assert facts.seconds < 2 * aa.MOST_SECONDS
    assert 0 <= facts.contaminated <= 1
    assert 0 <= facts.redone <= 1
    if facts.error:  # nothing could be timed often enough on a machine as busy as this one: said, not guessed
        assert facts.pairs == 0
    else:
        assert 1 <= facts.pairs <= 135
        assert facts.spread <= facts.wide_spread
        assert 0.1 - 1e-9 <= facts.best_delta <= facts.delta
    assert {finding.status for finding in examine(look.MachineFacts(aa=facts)) if finding.group == "aa"} <= {
        Status.OK,
        Status.WARN,
        Status.UNKNOWN,
    }
