"""Suites as pyperf itself reads them, by its API and by its command line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyperf
import pytest
from timing_blocks import blocks

from harness.timing.pyperf_format import write_pyperf

RNG = np.random.default_rng(4)
MEASURED = blocks({"a": 1e6, "b": 2e6}, 5, RNG, task_id="task/1", noise=0.005, layout=0.005) + blocks(
    {"c": 3e6, "d": 4e6}, 5, RNG, task_id="task/2", noise=0.005, layout=0.005
)


def command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    quick, slow = tmp_path / "quick.json", tmp_path / "slow.json"
    assert write_pyperf(quick, MEASURED, {"task/1": "a", "task/2": "c", "absent": "x"})
    assert write_pyperf(slow, MEASURED, {"task/1": "b", "task/2": "d"})
    return quick, slow


def test_pyperf_reads_what_was_measured(files: tuple[Path, Path]) -> None:
    suite = pyperf.BenchmarkSuite.load(str(files[0]))
    assert suite.get_benchmark_names() == ["task/1", "task/2"]
    benchmark = suite.get_benchmark("task/1")
    assert benchmark.get_nrun() == 5
    assert benchmark.get_nvalue() == 25
    assert benchmark.median() == pytest.approx(1e-3, rel=0.05)
    expected = [
        ns / t.loops / 1e9 for b in MEASURED[:5] for t in b.solutions if t.solution_id == "a" for ns in t.cpu_ns
    ]
    assert list(benchmark.get_values()) == pytest.approx(expected)
    assert benchmark.get_metadata()["hostname"] == "code-optimise"
    assert benchmark.get_unit() == "second"


def test_the_command_line_takes_them(files: tuple[Path, Path]) -> None:
    quick, slow = map(str, files)
    assert "Number of run: 5" in command("stats", quick).replace("Total number", "Number")
    assert "stable" in command("check", quick)
    compared = command("compare_to", quick, slow)
    assert "2.0" in compared
    assert "slower" in compared


def test_same_input_same_bytes(files: tuple[Path, Path], tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    write_pyperf(again, MEASURED[::-1], {"task/2": "c", "task/1": "a"})
    assert again.read_bytes() == files[0].read_bytes()


def test_equal_counts_and_no_contaminated_blocks(tmp_path: Path) -> None:
    first, second, *rest = MEASURED[:5]
    shorter = [replace(t, cpu_ns=t.cpu_ns[:2]) if t.solution_id == "b" else t for t in first.solutions]
    measured = [replace(first, solutions=shorter), replace(second, contaminated=True), *rest]
    path = tmp_path / "suite.json"
    write_pyperf(path, measured, {"task/1": "a"})
    benchmark = pyperf.BenchmarkSuite.load(str(path)).get_benchmark("task/1")
    assert (benchmark.get_nrun(), benchmark.get_nvalue()) == (4, 8)


def test_nothing_to_write(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    assert not write_pyperf(path, MEASURED, {"task/1": "unknown"})
    assert not path.exists()
