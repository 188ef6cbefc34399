"""Held-out tests in the sandbox: the canonical solutions of MBPP+ pass theirs, hard-coded ones don't, and what `eval`
makes of both. CODE_OPTIMISE_ALL=1 runs all 378 tasks in place of every ninth (minutes)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.annotation.executing import execute
from harness.annotation.measuring import measure, passing_solutions
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import EXECUTIONS, MEASUREMENTS, SAMPLES, read_labels
from harness.evaluation.held_out import HELD_OUT, held_out_limits, held_out_rows, judge_held_out
from harness.evaluation.results import evaluate
from harness.problems import load_problems
from harness.problems.checks import RawRow, to_problem
from harness.problems.plus import MBPP_PLUS, mbpp_plus_row
from harness.progress import SilentReporter
from harness.records import ExecutionRow, FinishReason, MeasurementBlock, Problem, Sample, TimingInputs
from harness.store import AppendFile, read_rows
from harness.timing.decisions import DecisionSettings
from sandbox import Integrity, Job, Limits, Sandbox, Verdict, allowed_cores

pytestmark = pytest.mark.docker

DATA = Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data")) / "MbppPlus.jsonl"
EVERY = 1 if os.environ.get("CODE_OPTIMISE_ALL", "") not in ("", "0") else 9

CANONICAL = "def add_up(numbers):\n    return sum(numbers)\n"
SLOW = "def add_up(numbers):\n    total = 0\n    for number in numbers:\n        total += number\n    return total\n"
HARD_CODED = "def add_up(numbers):\n    return {3: 6, 0: 0}[len(numbers)]\n"
WRONG = "def add_up(numbers):\n    return 7\n"
INPUTS = [[list(range(1000 + n))] for n in range(5)]


def problem() -> Problem:
    values = {
        "task_id": "Mbpp/900",
        "prompt": '"""\nAdd up.\nassert add_up((1, 2, 3)) == 6\n"""\n',
        "entry_point": "add_up",
        "canonical_solution": CANONICAL,
        "assertion": "assert add_up((1, 2, 3)) == 6\nassert add_up(()) == 0\n",
        "plus_input": INPUTS,
        "atol": 0,
    }
    return to_problem(mbpp_plus_row(RawRow(values, "test", "made")), "made")


@pytest.mark.skipif(not DATA.is_file(), reason=f"{DATA} is not there (set CODE_OPTIMISE_DATA)")
@pytest.mark.timeout(1800)
def test_canonical_solutions_pass_own_and_held_out_tests_with_strong_integrity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MBPP_PLUS.environment, str(DATA))
    canonical = {row["task_id"]: row["canonical_solution"] for row in map(json.loads, DATA.read_text().splitlines())}
    jobs = {
        (one.task_id, kind): Job(one.prompt + canonical[one.task_id], test, one.entry_point, one.prompt)
        for one in load_problems("mbpp_plus", ["all"])[::EVERY]
        for kind, test in (("own", one.test), ("held out", one.held_out))
        if test is not None
    }
    assert len(jobs) >= 2 * 378 // EVERY - 1
    with Sandbox(cores=allowed_cores()[:1], limits=held_out_limits(Limits())) as sandbox:
        runs = dict(zip(jobs, sandbox.run_many(jobs.values()), strict=True))
    assert {key: (run.verdict, run.message) for key, run in runs.items() if not run.passed} == {}
    assert {key: run.weak_reason for key, run in runs.items() if run.integrity is not Integrity.STRONG} == {}


def test_what_an_evaluation_makes_of_it(tmp_path: Path) -> None:
    """Base: right and slow, hard-coded, wrong. Tuned: right and quick, twice. Timed on the held-out inputs."""
    one = problem()
    programs = {"base": [SLOW, HARD_CODED, WRONG], "tuned": [CANONICAL, CANONICAL]}
    samples = [
        Sample(one.task_id, number, model, program, FinishReason.EOS)
        for model, written in programs.items()
        for number, program in enumerate(written)
    ]
    with AppendFile(tmp_path / SAMPLES) as output:
        for sample in samples:
            output.append(sample)
    quick = DecisionSettings(min_rounds=2, max_rounds=2, confirm_rounds=0)
    settings = AnnotationSettings(
        min_passing=1,
        min_failing=0,
        decision=quick,
        timing_inputs=TimingInputs.PLUS,
        timing_cores=(allowed_cores()[0],),
        tries=50,  # two rounds that nothing disturbs, on whatever machine this is
    )
    with Sandbox(cores=allowed_cores()[:1]) as sandbox:
        known = {one.task_id: one}
        execute(known, samples, len(samples), tmp_path / EXECUTIONS, sandbox, SilentReporter())
        rows = list(read_rows(tmp_path / EXECUTIONS, ExecutionRow))
        states = passing_solutions(known, samples, {row.key: row for row in rows}, settings)
        measure(states, tmp_path / MEASUREMENTS, sandbox, settings, SilentReporter())
    judge_held_out([one], tmp_path, settings=settings, reporter=SilentReporter())
    before = (tmp_path / HELD_OUT).read_bytes()
    judge_held_out([one], tmp_path, settings=settings, reporter=SilentReporter())
    assert (tmp_path / HELD_OUT).read_bytes() == before  # nothing is run twice

    held_out = held_out_rows([one], tmp_path)
    assert held_out is not None
    verdicts = {(row.model, row.sample_id): (row.verdict, row.integrity) for row in held_out}
    assert verdicts == {
        ("base", 0): ("PASSED", "strong"),
        ("base", 1): (Verdict.ERROR, "strong"),  # KeyError: a length that it was not shown
        ("tuned", 0): ("PASSED", "strong"),
        ("tuned", 1): ("PASSED", "strong"),
    }
    timed = {
        solution.solution_id: solution.calls
        for block in read_rows(tmp_path / MEASUREMENTS, MeasurementBlock)
        for solution in block.solutions
        if solution.cpu_ns
    }
    assert set(timed.values()) == {len(INPUTS)}
    assert len(timed) == 2  # the hard-coded one can't be timed on inputs that it fails on
    labels = read_labels(tmp_path, settings)
    results = evaluate([one], samples, rows, labels, ["base", "tuned"], ks=(1,), held_out=held_out, limit_ns=3e9)
    base, tuned = results.models
    assert base.held_out is not None
    assert tuned.held_out is not None
    assert (base.held_out.gap.value, tuned.held_out.gap.value) == (pytest.approx(1 / 3), 0.0)
    speedup = results.comparisons[0].speedup.figure.value
    assert speedup is not None
    assert speedup > 1.5  # the built-in against a loop over a thousand numbers
    assert tuned.efficiency is not None
    assert tuned.efficiency.beyond.value == 1.0
