"""The sandbox side of the reward, with the real sandbox: what is quick, what is weak, what forges, what is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.problems import load_problems, starter_solutions
from harness.records import Problem
from harness.reward.judging import JudgeSettings, SandboxJudge
from harness.reward.rule import Refusal, Reward, Rule
from sandbox import Sandbox, Verdict, allowed_cores
from sandbox.conformance import load_attacks

pytestmark = pytest.mark.docker

RULE = Rule(weight=0.25, bound=0.5)
CORE = allowed_cores()[-1]
SUM = "starter/sum_to_n"
SOLUTIONS = {solution.name: solution.code for solution in starter_solutions()[SUM]}
QUICK, *_, SLOW = SOLUTIONS.values()
WEAK = Problem("weak", "", "def check(candidate):\n    assert candidate(lambda x: x + 1) == 5\n", "f", "train", "here")
DOUBLE = Problem("double", "", "def check(candidate):\n    assert candidate(4) == 8\n", "f", "train", "here")
# Tells right results to the test, and other ones later on, when it is timed.
CHANGES_ITS_MIND = "calls = 0\ndef f(x):\n    global calls\n    calls += 1\n    return 2 * x if calls == 1 else 0\n"


@pytest.fixture(scope="module")
def problems() -> dict[str, Problem]:
    starter = [problem for problem in load_problems("starter", ["train"]) if problem.task_id == SUM]
    return {problem.task_id: problem for problem in (*starter, WEAK, DOUBLE)}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(cores=[CORE]) as opened:
        yield opened


def judge(problems: dict[str, Problem], sandbox: Sandbox, **references: str) -> SandboxJudge:
    by_task = {SUM if name == "total" else name: text for name, text in references.items()}
    return SandboxJudge(problems, by_task, sandbox, [CORE], JudgeSettings(seconds=60), pytest.fail)


def rewards(judged: SandboxJudge, *completions: tuple[str, str]) -> list[Reward]:
    return [RULE.reward(outcome) for outcome in judged(completions)]


def test_the_quicker_earn_more_than_the_reference_and_the_slower_less(
    problems: dict[str, Problem], sandbox: Sandbox
) -> None:
    slow_first = rewards(judge(problems, sandbox, total=SLOW), (SUM, QUICK), (SUM, SLOW), (SUM, "    return None\n"))
    assert [reward.value for reward in slow_first] == [1.5, 1.0, 0.0]  # hundreds of times as quick: at the bound
    quick_first = rewards(judge(problems, sandbox, total=QUICK), (SUM, QUICK), (SUM, SLOW))
    assert [reward.value for reward in quick_first] == [1.0, 0.5]


def test_without_a_reference_passing_is_all(problems: dict[str, Problem], sandbox: Sandbox) -> None:
    found = judge(problems, sandbox)([(SUM, QUICK), (SUM, SLOW)])
    assert [(outcome.verdict, outcome.speedup) for outcome in found] == [(Verdict.PASSED, None)] * 2


def test_what_is_known_is_not_run_again(problems: dict[str, Problem]) -> None:
    with Sandbox(cores=[CORE]) as opened:
        judged = judge(problems, opened, total=SLOW)
        first = judged([(SUM, QUICK), (SUM, QUICK), (SUM, "    return n\n")])
    assert first[0] == first[1]
    copy = "    # the same, but for a comment\n" + QUICK
    assert judged([(SUM, copy), (SUM, "    return n\n")]) == [first[0], first[2]]
    with pytest.raises(RuntimeError, match="outside"):  # the sandbox is gone: only what is known has an answer
        judged([(SUM, "    return n + 1\n")])


def test_a_weak_run_is_refused(problems: dict[str, Problem], sandbox: Sandbox) -> None:
    found = judge(problems, sandbox)([("weak", "def f(g):\n    return g(4)\n")])
    assert found[0].verdict == Verdict.PASSED
    assert RULE.reward(found[0]) == Reward(None, Refusal.WEAK)


def test_a_solution_that_is_right_only_while_it_is_judged_earns_nothing(
    problems: dict[str, Problem], sandbox: Sandbox
) -> None:
    honest = "def f(x):\n    return x + x\n"
    judged = judge(problems, sandbox, double="def f(x):\n    return 2 * x\n")
    (outcome,) = judged([("double", CHANGES_ITS_MIND)])
    assert (outcome.verdict, outcome.sound) == (Verdict.PASSED, False)
    assert RULE.reward(outcome).value == 0.0
    assert rewards(judged, ("double", honest))[0].value == 1.0


def test_no_program_that_forges_earns_anything(sandbox: Sandbox) -> None:
    """All forging programs of the conformance suite; those that are honest in the end are expected to pass."""
    attacks = [
        attack for attack in load_attacks() if attack.category == "forging" and Verdict.PASSED not in attack.expect
    ]
    facing = {
        attack.name: Problem(attack.name, "", attack.job.test, attack.job.entry_point, "train", "conformance")
        for attack in attacks
    }
    judged = SandboxJudge(facing, {}, sandbox, [CORE], JudgeSettings(timed=False), pytest.fail)
    found = rewards(judged, *((attack.name, attack.job.program) for attack in attacks))
    earned = {attack.name: reward.value for attack, reward in zip(attacks, found, strict=True) if reward.value}
    assert earned == {}
    assert sum(reward.refusal is Refusal.VIOLATION for reward in found) >= 10
    assert len(attacks) >= 40
