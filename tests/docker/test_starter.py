"""Every reference solution of the starter set passes in the sandbox, with strong integrity, and the quick ones are."""

from __future__ import annotations

import pytest

from harness.problems import load_problems, starter_solutions
from sandbox import Block, Integrity, Job, Sandbox, TimedSolution, TimingSettings, Verdict, allowed_cores

pytestmark = pytest.mark.docker

PROBLEMS = load_problems("starter", ["train", "validation", "test"])
SOLUTIONS = starter_solutions()
MAX_CPU_NS = 200_000_000
CLEARLY_QUICKER = 1.3
SHARE = 0.8


def jobs() -> dict[tuple[str, str], Job]:
    return {
        (p.task_id, s.name): Job(program=p.prompt + s.code, test=p.test, entry_point=p.entry_point, prompt=p.prompt)
        for p in PROBLEMS
        for s in SOLUTIONS[p.task_id]
    }


def test_reference_solutions_pass_with_strong_integrity() -> None:
    todo = jobs()
    with Sandbox(cores=allowed_cores()[:1]) as sandbox:
        executions = dict(zip(todo, sandbox.run_many(todo.values()), strict=True))
    assert {key: e for key, e in executions.items() if e.verdict is not Verdict.PASSED} == {}
    assert {key: e.weak_reason for key, e in executions.items() if e.integrity is not Integrity.STRONG} == {}
    assert {key: e.cpu_ns for key, e in executions.items() if e.cpu_ns >= MAX_CPU_NS} == {}


def test_an_empty_body_fails_every_test() -> None:
    todo = [Job(p.prompt + "    return None\n", p.test, p.entry_point, p.prompt) for p in PROBLEMS]
    with Sandbox(cores=allowed_cores()[:1]) as sandbox:
        executions = list(sandbox.run_many(todo))
    assert {p.task_id: e.verdict for p, e in zip(PROBLEMS, executions, strict=True) if e.passed} == {}


def test_the_first_solution_is_quick_on_the_tests_own_calls() -> None:
    todo = jobs()
    settings = TimingSettings(min_sample_ns=500_000, samples=2, max_redo=0)
    blocks = [
        Block(
            block_id=p.task_id,
            solutions=tuple(TimedSolution(s.name, todo[p.task_id, s.name]) for s in SOLUTIONS[p.task_id]),
            hash_seed=0,
            settings=settings,
        )
        for p in PROBLEMS
    ]
    ratios = {}
    [core] = allowed_cores()[:1]
    with Sandbox(cores=[core]) as sandbox:
        for block in (sandbox.measure(block, core=core) for block in blocks):
            times = [min(timing.cpu_ns) / timing.loops for timing in block.timings]
            ratios[block.block_id] = max(times) / times[0]
    clear = sum(ratio >= CLEARLY_QUICKER for ratio in ratios.values())
    assert clear >= SHARE * len(PROBLEMS), sorted(ratios.items(), key=lambda item: item[1])
