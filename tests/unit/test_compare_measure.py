"""`compare --measure`: samples of folders made apart, judged and timed together in the sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.evaluation.folders import record_problems
from harness.evaluation.results import from_json
from harness.problems import load_problems
from harness.problems.starter_set import starter_solutions
from harness.records import ExecutionRow, FinishReason, Sample
from harness.store import read_rows, write_rows

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

PROBLEMS = [replace(problem, held_out=problem.test) for problem in load_problems("starter", ("train",))[:3]]


def _problems_file(path: Path) -> Path:
    columns = ("task_id", "prompt", "test", "entry_point", "held_out")
    rows = [{name: getattr(problem, name) for name in columns} for problem in PROBLEMS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _folder(path: Path, model: str, pick: int, data_path: Path) -> Path:
    """A folder of samples that nobody has judged: of each problem a reference solution and one that fails."""
    known = starter_solutions()
    write_rows(
        path / "samples.jsonl",
        [
            Sample(problem.task_id, number, model, code, FinishReason.EOS)
            for problem in PROBLEMS
            for number, code in enumerate((known[problem.task_id][pick].code, "    return None\n"))
        ],
    )
    record_problems(path, PROBLEMS, str(data_path), "test")
    return path


def test_samples_of_two_folders_are_timed_together_and_resumed(tmp_path: Path) -> None:
    data_path = _problems_file(tmp_path / "p.jsonl")
    slow = _folder(tmp_path / "evals/slow/p/test", "base", -1, data_path)
    quick = _folder(tmp_path / "evals/quick/p/test", "tuned", 0, data_path)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "harness.cli.app", "compare", str(slow), str(quick), "--measure", f"--out={out}"]

    def run(*more: str) -> tuple[int, str]:
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=600, check=False)
        return done.returncode, done.stdout + done.stderr

    code, printed = run()
    assert code == 0, printed
    results = from_json((out / "results.json").read_text())
    assert [model.name for model in results.models] == ["slow:base", "quick:tuned"]
    (comparison,) = results.comparisons
    assert comparison.pass_at_k["1"].value == 0.0
    assert comparison.speedup.figure.n == len(PROBLEMS)
    assert comparison.speedup.figure.value is not None
    assert comparison.speedup.figure.value > 1.0  # reference solutions, the quick one first
    for model in results.models:  # the time limit and the held-out tests are passed on, as in `eval`
        assert model.efficiency is not None
        assert model.efficiency.joint_ns.value is not None
        assert model.held_out is not None
        assert (model.held_out.gap.value, model.held_out.passed) == (0.0, len(PROBLEMS))
    rows = list(read_rows(out / "executions.jsonl", ExecutionRow))
    assert [row.verdict == "PASSED" for row in rows].count(True) == 2 * len(PROBLEMS)
    before = {name: (out / name).read_bytes() for name in ("executions.jsonl", "measurements.jsonl", "samples.jsonl")}
    code, printed = run()
    assert code == 0, printed
    assert {name: (out / name).read_bytes() for name in before} == before
    _folder(quick, "tuned", -1, data_path)
    code, printed = run()
    assert code == 2
    assert "other settings" in printed
    assert "quick:tuned" in printed
