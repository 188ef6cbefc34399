"""Stress inputs in the real sandbox: who agrees, who is left out, and what timing on them shows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.annotation.measuring import ProblemState
from harness.annotation.settings import AnnotationSettings
from harness.evaluation.results import from_json
from harness.problems.starter_set import starter_solutions
from harness.progress import SilentReporter
from harness.records import Problem
from harness.store import read_rows
from harness.stress.records import StressInputs, StressResult
from harness.stress.results import last_sizes
from harness.stress.settings import StressSettings
from harness.stress.stage import STRESS, STRESS_INPUTS, STRESS_MEASUREMENTS, find_inputs, time_sizes, write_results
from sandbox import Limits, Sandbox, allowed_cores

pytestmark = pytest.mark.docker

CORE = allowed_cores()[-1]
PROMPT = "def has_double(values):\n"
TEST = (
    "def check(candidate):\n    assert candidate([3, 8, 1, 5]) == False\n    assert candidate([4, 9, 9]) == True\n"
    "    assert candidate([7, 2, 9, 12, 1]) == False\n"
)
SET = "    return len(set(values)) < len(values)\n"
LOOPS = (
    "    for i in range(len(values)):\n        for j in range(i):\n            if values[i] == values[j]:\n"
    "                return True\n    return False\n"
)
PROBLEM = Problem("made/double", PROMPT, TEST, "has_double", "test", "made")
SETTINGS = StressSettings(most_size=2_048)


def asked(completions: dict[str, str], path: Path) -> StressInputs:
    with Sandbox(cores=[CORE], limits=Limits(cpu_seconds=SETTINGS.cpu_seconds)) as sandbox:
        (row,) = find_inputs([ProblemState(PROBLEM, completions)], path, sandbox, SETTINGS, SilentReporter())
    return row


def test_solutions_that_fail_on_large_inputs_are_told_from_those_that_are_slow(tmp_path: Path):
    honest = {f"set{number}": SET for number in range(9)}
    others = {
        "forger": "    if len(values) > 20:\n        raise AssertionError('stress answers: 0:1')\n" + SET,
        "leaver": "    import os\n    if len(values) > 20:\n        os._exit(0)\n" + SET,
        "deep": "    def walk(n):\n        return 0 if n == 0 else walk(n - 1)\n    walk(len(values))\n" + SET,
        "endless": "    while len(values) > 200:\n        pass\n" + SET,
    }
    row = asked(honest | others, tmp_path / STRESS_INPUTS)
    last = last_sizes(row)
    stops = {stop.solution_id: stop.why for stop in row.stops}
    assert [(one.solution_id, one.said) for one in row.dissents] == [("forger", "AssertionError")]
    assert stops["leaver"] == "EARLY_EXIT"
    assert stops["deep"] == "RecursionError"
    assert stops["endless"] == "TIMEOUT_CPU"
    assert last["deep"] < 2_048
    assert last["endless"] <= 200
    assert {last[one] for one in honest} == {2_048}
    assert all(one.arguments for size in row.sizes for one in size.timed)


def test_what_was_found_is_not_asked_for_again(tmp_path: Path):
    path = tmp_path / STRESS_INPUTS
    first = asked({"set": SET, "loops": LOOPS}, path)
    written = path.read_bytes()
    assert asked({"set": SET, "loops": LOOPS}, path) == first
    assert path.read_bytes() == written
    assert asked({"set": SET, "loops": LOOPS, "more": SET}, path).of != first.of


def test_growth_and_order_show_on_larger_inputs(tmp_path: Path):
    state = ProblemState(PROBLEM, {"set": SET, "loops": LOOPS})
    annotation = AnnotationSettings(timing_cores=(CORE,))
    with Sandbox(cores=[CORE]) as sandbox:
        inputs = find_inputs([state], tmp_path / STRESS_INPUTS, sandbox, SETTINGS, SilentReporter())
        path = tmp_path / STRESS_MEASUREMENTS
        time_sizes([state], inputs, path, sandbox, SETTINGS, annotation, SilentReporter())
    (result,) = write_results(inputs, tmp_path, annotation)
    assert list(read_rows(tmp_path / STRESS, StressResult)) == [result]
    exponents = {one.solution_id: one.exponent for one in result.solutions}
    assert exponents["loops"] == pytest.approx(2.0, abs=0.3)
    assert exponents["set"] == pytest.approx(1.0, abs=0.3)
    (pair,) = result.pairs
    assert (pair.quick_id, pair.slow_id) == ("set", "loops")
    assert pair.ratio > 20


def command(root: Path, *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli.app", *map(str, words), "--root", str(root)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_an_evaluation_is_stressed_and_reported_from_the_command_line(tmp_path: Path):
    """Samples of two models that are imported, judged and timed together, then timed on larger inputs."""
    known = starter_solutions()
    task_ids = ["starter/fibonacci", "starter/is_prime"]
    for name, pick in (("slow", -1), ("quick", 0)):
        written = [(one, code) for one in task_ids for code in (known[one][pick].code, "    pass\n")]
        rows = [{"task_id": one, "completion": code} for one, code in written]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        command(tmp_path, "import", tmp_path / f"{name}.jsonl", "--split", "test", "--save_path", name,
                "--model_name", name)  # fmt: skip
    folder = tmp_path / "evals/x/starter/test"
    sampled = (tmp_path / f"samples/{name}/starter/test" for name in ("slow", "quick"))
    command(tmp_path, "compare", *sampled, "--measure", "--out", folder, "--cores", CORE)
    stressing = ("stress", "--of", "eval", "--save_path", "x", "--cores", CORE)
    assert "2 of 2 with larger inputs" in command(tmp_path, *stressing)
    results = {row.task_id: row for row in read_rows(folder / STRESS, StressResult)}
    assert set(results) == set(task_ids)
    (pair,) = results["starter/fibonacci"].pairs
    assert pair.ratio > 100  # 2^n beside n; whether it is decided is up to how busy the machine is
    before = {name: (folder / name).read_bytes() for name in (STRESS_INPUTS, STRESS_MEASUREMENTS, STRESS)}
    command(tmp_path, *stressing)
    assert {name: (folder / name).read_bytes() for name in before} == before
    command(tmp_path, "report", "--save_path", "x")
    reported = from_json((folder / "results.json").read_text())
    larger = reported.comparisons[0].larger
    assert larger is not None
    assert larger.own.value is not None
    assert larger.speedup.value is not None
    assert larger.speedup.n == 2
    assert larger.speedup.value > 2 * larger.own.value
    for name in ("report.html", "report.md", "report.tex"):
        assert "Growth with the input" in (folder / name).read_text()
