"""The stress benchmark's own figures, and the command."""

from __future__ import annotations

import ast
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.problems import load_problems
from harness.stress.records import StressPair, StressResult, StressSolution
from harness.timing.solution_id import solution_id
from tests.benchmarks.data.expert_human_eval import EXPERTS
from tests.benchmarks.stress import expert_samples
from tests.benchmarks.stress_figures import Exponent, duel, result_tables

SLOW = StressSolution("slow", 90.0, [8.0, 64.0, 512.0], [1e2, 6e3, 4e5], 2.0, 1.9, 2.1, ["quadratic"], "budget", [])
QUICK = StressSolution("quick", 100.0, [8.0, 64.0, 512.0], [80.0, 600.0, 5e3], 1.0, 0.9, 1.1, ["linear"], "", [])
PAIR = StressPair("quick", "slow", 512, 80.0, 70.0, 90.0, "quick", True, 0.9, "slow")
RESULT = StressResult("t", "length", 5, 512, 1.11, 80.0, [QUICK, SLOW], [PAIR], [], "")


@pytest.mark.parametrize(
    ("one", "matches"),
    [
        (Exponent("", (1.0, 1.0), 1.2, 1.1, 1.3, False, 4), True),  # within the tolerance
        (Exponent("", (1.0, 1.0), 1.6, 0.9, 2.3, False, 4), True),  # within the interval
        (Exponent("", (1.0, 1.0), 1.4, 1.3, 1.5, False, 4), False),
        (Exponent("", (1.0, 1.0), None, None, None, False, 2), False),
        (Exponent("", (1.0, 2.0), 1.6, 1.5, 1.7, False, 4), True),
        (Exponent("", None, 7.0, 5.0, 9.0, True, 3), True),
        (Exponent("", None, 2.0, 1.9, 2.1, False, 3), False),
        (Exponent("", (3.0, 3.0), 3.1, 2.9, 3.3, True, 3), False),
    ],
)
def test_an_exponent_matches_theory_in_its_interval_or_close_to_it(one: Exponent, matches: bool):
    assert one.matches is matches


def test_a_duel_is_told_from_the_experts_side():
    expert = replace(EXPERTS[3], canonical_exponent=(2.0, 2.0), expert_exponent=(1.0, 1.0))
    won = duel(expert, RESULT, "slow", "quick")
    assert (won.ratio, won.decision, won.base_ratio, won.base_decision) == (80.0, "quick", 0.9, "slow")
    assert won.expert_wins
    assert won.canonical.matches
    assert won.expert.matches
    lost = duel(expert, RESULT, "quick", "slow")
    assert (lost.ratio, lost.decision) == (pytest.approx(1 / 80), "slow")
    assert (lost.base_ratio, lost.base_decision) == (pytest.approx(1 / 0.9), "quick")
    assert not lost.expert_wins
    absent = duel(expert, RESULT, "slow", "other")
    assert (absent.ratio, absent.decision, absent.expert.measured) == (None, None, None)


def test_tables_say_what_was_written():
    sizes = [{"inputs": ["timed", "agreed", "raises"]}]
    inputs = {"sizes": sizes, "stops": [{"why": "budget"}], "dissents": [], "why": ""}
    written = {
        "released": {"results": [asdict(RESULT)], "model": "starcoder-1b", "solutions": 2, "inputs": [inputs]},
        "expert": {"duels": [asdict(duel(EXPERTS[3], RESULT, "slow", "quick"))]},
    }
    separation, growth, became, each, duels = result_tables(written)
    assert separation.rows[0][1:4] == ["1", "0", "0"]
    assert separation.rows[1][1:4] == ["1", "1", "1"]
    assert "1 pairs are decided the other way round" in separation.note
    assert {row[0]: row[1] for row in growth.rows}["1.75 to 2.25"] == "1"
    assert became.rows[0][1] == "1 timed, 1 agreed, 1 raises"
    assert each.rows[0][5:8] == ["1.11", "80.00", "1.00 – 2.00"]
    assert duels.rows[0][-1] == "80.0 quick"
    assert "2 of 2 exponents match" in duels.note


def test_expert_rewrites_are_other_programs_for_known_problems():
    problems = {one.task_id: one for one in load_problems("human_eval", ["test"])}
    _, samples = expert_samples(EXPERTS)
    assert len(samples) == 2 * len(EXPERTS) == 2 * len({one.task_id for one in EXPERTS}) >= 20
    for canonical, expert in zip(samples[::2], samples[1::2], strict=True):
        problem = problems[expert.task_id]
        ast.parse(problem.prompt + expert.completion)
        ids = {solution_id(problem.prompt + one.completion, problem.entry_point) for one in (canonical, expert)}
        assert len(ids) == 2


def test_the_command_wants_judged_solutions(tmp_path: Path):
    planned = CliRunner().invoke(app, ["stress", "--dry-run", "--root", str(tmp_path)])
    assert planned.exit_code == 0
    done = CliRunner().invoke(app, ["stress", "--root", str(tmp_path)])
    assert done.exit_code == 2
    assert "nothing is judged here" in done.output
