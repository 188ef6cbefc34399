"""Every hostile program against the real sandbox, under every runtime that the engine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import Sandbox, SandboxError, Verdict, allowed_cores
from sandbox.conformance import CATEGORIES, LIMITS, Attack, examine, load_attacks
from sandbox.conformance.tasks import TASKS

pytestmark = [pytest.mark.hostile, pytest.mark.docker]

CORE = allowed_cores()[-1]
ATTACKS = {attack.name: attack for attack in load_attacks()}
# The list of attacks that the sandbox must survive, one a line.
LINES = [
    line
    for line in (Path(__file__).parent / "lines.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
OTHER_RUNTIMES = ("runsc",)


@pytest.fixture(scope="module")
def sandbox(sandbox_image):
    with Sandbox(cores=[CORE], limits=LIMITS) as running:
        yield running


@pytest.mark.parametrize("name", ATTACKS)
def test_the_sandbox_withstands(sandbox, name):
    result = examine(sandbox, ATTACKS[name], core=CORE)
    assert [str(finding) for finding in result.findings] == []


@pytest.fixture(scope="module", params=OTHER_RUNTIMES)
def other_sandbox(request, docker_engine, sandbox_image):
    """The runtime's name, its sandbox, and what came of an honest run in it."""
    runtimes = docker_engine.info().get("Runtimes") or {}
    if request.param not in runtimes:
        pytest.skip(f"the engine has no runtime {request.param}, only {', '.join(sorted(runtimes))}")
    with Sandbox(cores=[CORE], limits=LIMITS, runtime=request.param) as running:
        try:
            said = running.run(TASKS["double"].honest_job).verdict
        except SandboxError as error:
            said = str(error)
        yield request.param, running, said


def test_another_runtime_judges_an_honest_solution(other_sandbox):
    runtime, _, said = other_sandbox
    assert (runtime, said) == (runtime, Verdict.PASSED)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_sandbox_withstands_under_another_runtime(other_sandbox, name):
    runtime, running, said = other_sandbox
    if said != Verdict.PASSED:
        pytest.skip(f"{runtime} does not even judge an honest solution: {said} (that is a failure of its own above)")
    result = examine(running, ATTACKS[name], core=CORE, runtime=runtime, timed=False)
    assert [str(finding) for finding in result.findings] == []


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_list_is_covered(line):
    assert [attack.name for attack in ATTACKS.values() if attack.line == line]


def test_no_attack_covers_a_line_that_is_not_on_the_list():
    assert {attack.name: attack.line for attack in ATTACKS.values() if attack.line not in LINES} == {}


def test_there_are_enough_of_every_category():
    def of(category: str) -> list[Attack]:
        return [attack for attack in ATTACKS.values() if attack.category == category]

    assert len(ATTACKS) >= 100
    assert all(len(of(category)) >= 10 for category in CATEGORIES)
    assert all(attack.timed for attack in of("timing"))
