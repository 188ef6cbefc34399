"""The published timing method: its rule, its program (run here as a child), what is believed of its output, its labels.

What it says inside the sandbox: tests/docker/test_legacy_mode.py.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli import make, run
from test_merge import PROBLEM, USUAL, sample

from harness.annotation import legacy as stage
from harness.annotation.measuring import ProblemState
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import MEASUREMENTS, read_labels
from harness.cli import stages
from harness.merging.stage import MergeStageSettings, merge
from harness.progress import SilentReporter
from harness.records import Decision, LegacyOutcome, LegacyTiming, MergedRow, Problem, TimingMethod
from harness.store import Manifest, read_rows, write_rows
from harness.timing.legacy import (
    FLAG,
    LIMITS,
    MAX_AVG_NS,
    LegacyRun,
    legacy_labels,
    legacy_timing,
    pass_job,
    passes_of,
)
from harness.timing.legacy_pass import MAX_BLOCKS, PASS_SECONDS, mean_and_std, settled
from sandbox import Execution, Integrity, Job, Termination, Verdict

JOB = Job("def f(x):\n    return x + 1\n", "def check(candidate):\n    assert candidate(1) == 2", "f")
RUN = LegacyRun("t", "s", 3, JOB)
GOOD = {"outcome": "measured", "avg_ns": 51_234.5, "std_ns": 900.25, "blocks": 4}


def execution(output: str, verdict: Verdict = Verdict.PASSED, *, more: int = 0) -> Execution:
    size = len(output.encode("utf-8", "surrogatepass")) + more
    return Execution(verdict, Integrity.STRONG, Termination.COMPLETED, cpu_ns=7, output_head=output, stdout_bytes=size)


def line(**changes: object) -> str:
    return json.dumps(GOOD | changes) + "\n"


def row(solution_id: str, number: int, avg_ns: float | None, outcome: LegacyOutcome | None = None) -> LegacyTiming:
    outcome = outcome or (LegacyOutcome.MEASURED if avg_ns else LegacyOutcome.UNSTABLE)
    return LegacyTiming("t", solution_id, number, outcome, avg_ns, 1.0 if avg_ns else None, 1, 10)


# --- the rule -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=60))
def test_mean_and_std_are_those_of_a_population(times: list[int]) -> None:
    mean, std = mean_and_std(times)
    assert mean == pytest.approx(statistics.fmean(times))
    assert std == pytest.approx(statistics.pstdev(times), abs=1e-5 * mean)


def test_a_block_counts_up_to_a_tenth_of_spread() -> None:
    assert settled(100.0, 10.0)
    assert settled(100.0, 0.0)
    assert not settled(100.0, 10.1)
    assert not settled(0.0, 0.0)


# --- the program --------------------------------------------------------------------------------------------------


def in_a_child(body: str, **constants: object) -> list[dict]:
    """What a pass writes, line by line, with other constants in its text. Not here: pytest has the alarm clock."""
    job = pass_job(replace(JOB, program=body))
    text = job.program
    for name, value in constants.items():
        text = "\n".join(f"{name} = {value}" if old.startswith(f"{name} = ") else old for old in text.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", f"{text}\n{job.entry_point}()\n"], capture_output=True, text=True, check=True, timeout=60
    )
    return [json.loads(one) for one in done.stdout.splitlines()]


def test_a_pass_writes_one_line_whatever_the_solution_prints() -> None:
    chatter = (
        "import os, sys\nprint('a line', flush=True)\nos.write(1, b'x')\nos.write(2, b'x')\nsys.__stdout__.write('y')\n"
    )
    (result,) = in_a_child(chatter + JOB.program, MAX_SPREAD=1e9)
    assert result["outcome"] == "measured"
    assert result["blocks"] == 1
    assert result["avg_ns"] > 1_000
    assert legacy_timing(RUN, execution(json.dumps(result | {"std_ns": 0.0}) + "\n")).avg_ns == result["avg_ns"]


@pytest.mark.parametrize(
    ("body", "constants", "outcome", "blocks"),
    [
        ("def f(x):\n    return 0\n", {}, "failed", 0),
        ("def f(x):\n    raise SystemExit\n", {}, "failed", 0),
        ("def f(\n", {}, "failed", 0),
        (JOB.program, {"MAX_SPREAD": -1.0, "MAX_BLOCKS": 3}, "unstable", 3),
        ("import time\ntime.sleep(0.05)\n" + JOB.program, {"BLOCK_SECONDS": 0.2}, "timeout", 0),
        (JOB.program, {"MAX_SPREAD": -1.0, "PASS_SECONDS": 0.2, "MAX_BLOCKS": 10**9}, "timeout", None),
    ],
)
def test_why_a_pass_has_no_figures(body: str, constants: dict, outcome: str, blocks: int | None) -> None:
    (result,) = in_a_child(body, **constants)
    assert (result["outcome"], result["avg_ns"], result["std_ns"]) == (outcome, None, None)
    assert result["blocks"] > 0 if blocks is None else result["blocks"] == blocks


def test_the_source_is_carried_character_for_character() -> None:
    odd = "# \ud800 é '''\\\r\n" + JOB.program
    namespace: dict = {"report": None}
    program = pass_job(replace(JOB, program=odd)).program
    assert program.isascii()
    exec(program, namespace)
    found = []
    namespace["report"] = found.append
    namespace["run_pass"]()
    assert found == [f"{odd}\n{JOB.test}\ncheck(f)"]


def test_the_sandbox_leaves_the_method_its_own_time() -> None:
    assert LIMITS.cpu_seconds > PASS_SECONDS
    assert LIMITS.wall_seconds > PASS_SECONDS


# --- what is believed ---------------------------------------------------------------------------------------------


def test_a_good_line_is_a_row() -> None:
    expected = LegacyTiming("t", "s", 3, LegacyOutcome.MEASURED, 51_234.5, 900.25, 4, 7)
    assert legacy_timing(RUN, execution(line())) == expected


@pytest.mark.parametrize("word", ["unstable", "timeout", "failed"])
def test_a_pass_may_say_that_it_came_to_nothing(word: str) -> None:
    got = legacy_timing(RUN, execution(line(outcome=word, avg_ns=None, std_ns=None)))
    assert (got.outcome, got.avg_ns, got.std_ns, got.blocks) == (word, None, None, 4)


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.INTERNAL, LegacyOutcome.INTERNAL),
        (Verdict.TIMEOUT_CPU, LegacyOutcome.TIMEOUT),
        (Verdict.TIMEOUT_WALL, LegacyOutcome.TIMEOUT),
        *((one, LegacyOutcome.NO_MEASUREMENT) for one in (Verdict.EARLY_EXIT, Verdict.VIOLATION, Verdict.OUTPUT)),
    ],
)
def test_no_figure_is_taken_from_a_run_that_did_not_end_well(verdict: Verdict, outcome: LegacyOutcome) -> None:
    got = legacy_timing(RUN, execution(line(), verdict))
    assert (got.outcome, got.avg_ns, got.std_ns, got.blocks) == (outcome, None, None, None)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\n",
        line()[:-1],
        line() + line(),
        "x\n" + line(),
        line() + "x",
        line() + "\n",
        "[" * 1_990 + "\n",
        "[]\n",
        "1\n",
        line().replace("measured", "measur\u00e9d"),
        line().replace("51234.5", "NaN"),
        line().replace("51234.5", "1e999"),
        line().replace("51234.5", "9" * 1_000),
        line().replace("900.25", "9" * 1_000),
        line(more=1),
        json.dumps({key: value for key, value in GOOD.items() if key != "std_ns"}) + "\n",
        *(line(avg_ns=value) for value in (None, "1", True, -1.0, 0, 0.5, 5e-324, MAX_AVG_NS * 1.01, [1], {})),
        *(line(std_ns=value) for value in (None, "1", False, -1.0, 5_200.0, 1e300, float("nan"), [])),
        *(line(blocks=value) for value in (None, 0, -1, MAX_BLOCKS + 1, 2.0, True, "4", [])),
        *(line(outcome=value) for value in (None, "internal", "no_measurement", "MEASURED", 1, [], {})),
        line(outcome="unstable"),
        line(outcome="unstable", avg_ns=None),
    ],
)
def test_what_a_pass_does_not_write_is_no_measurement(output: str) -> None:
    got = legacy_timing(RUN, execution(output))
    assert (got.outcome, got.avg_ns, got.std_ns, got.blocks) == (LegacyOutcome.NO_MEASUREMENT, None, None, None)


def test_what_was_written_beyond_the_head_is_no_measurement() -> None:
    assert legacy_timing(RUN, execution(line(), more=1)).outcome == LegacyOutcome.NO_MEASUREMENT


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([*LegacyOutcome]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
LINES = st.fixed_dictionaries(dict.fromkeys(GOOD, VALUES)).map(lambda value: json.dumps(value) + "\n")


@given(st.text(max_size=200) | LINES | st.text(max_size=20).map(lambda text: line() + text))
def test_hostile_output_never_raises_and_figures_are_in_range(output: str) -> None:
    got = legacy_timing(RUN, execution(output))
    if got.outcome == LegacyOutcome.MEASURED:
        assert got.avg_ns is not None
        assert got.std_ns is not None
        assert 1 <= got.avg_ns <= MAX_AVG_NS
        assert 0 <= got.std_ns <= 0.1001 * got.avg_ns
        assert 1 <= (got.blocks or 0) <= MAX_BLOCKS
    else:
        assert got.avg_ns is got.std_ns is None


# --- passes and labels --------------------------------------------------------------------------------------------


def test_all_solutions_are_passed_over_before_any_is_again() -> None:
    got = [run.key for run in passes_of(lambda: [("t", "a", JOB), ("u", "b", JOB)], 2)]
    assert got == [("t", "a", 0), ("u", "b", 0), ("t", "a", 1), ("u", "b", 1)]
    assert len(list(passes_of(lambda: [("t", "a", JOB)]))) == 5


def test_a_label_is_the_mean_over_the_passes_that_measured() -> None:
    rows = [row("a", 0, 100.0), row("a", 1, 104.0), row("a", 2, None), row("b", 0, None), row("c", 0, 102.5)]
    labels = legacy_labels(rows)
    first, second = labels.labels
    assert (first.solution_id, first.runtime_ns, first.low_ns, first.high_ns, first.rounds) == ("a", 102, 100, 104, 2)
    assert (second.solution_id, second.runtime_ns, second.rounds) == ("c", 102.5, 1)
    assert [label.flags for label in labels.labels] == [[FLAG], [FLAG]]
    (pair,) = labels.comparisons
    assert (pair.quick_id, pair.slow_id, pair.decision, pair.rounds) == ("a", "c", Decision.QUICK, 1)
    assert pair.ratio == 102.5 / 102
    assert pair.low < 1 < pair.high


def test_a_later_row_of_a_pass_replaces_an_earlier_one() -> None:
    labels = legacy_labels([row("a", 0, None, LegacyOutcome.INTERNAL), row("a", 0, 7.0)])
    assert [label.runtime_ns for label in labels.labels] == [7.0]


def test_labels_are_of_one_problem() -> None:
    for rows in ([], [row("a", 0, 1.0), replace(row("a", 0, 1.0), task_id="u")]):
        with pytest.raises(ValueError, match="one problem"):
            legacy_labels(rows)


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(1.0, MAX_AVG_NS) | st.none()), min_size=1, max_size=30))
def test_any_difference_orders_a_pair(passes: Sequence[tuple[int, float | None]]) -> None:
    rows = [row(f"s{solution}", number, avg_ns) for number, (solution, avg_ns) in enumerate(passes)]
    labels = legacy_labels(rows)
    known = {label.solution_id: label for label in labels.labels}
    assert set(known) == {one.solution_id for one in rows if one.avg_ns}
    assert labels.labels == sorted(labels.labels, key=lambda label: (label.runtime_ns, label.solution_id))
    assert all(label.low_ns <= label.runtime_ns <= label.high_ns for label in labels.labels)
    assert len(labels.comparisons) == len(known) * (len(known) - 1) // 2
    for pair in labels.comparisons:
        quick, slow = known[pair.quick_id], known[pair.slow_id]
        assert pair.low <= pair.ratio <= pair.high
        if quick.runtime_ns < slow.runtime_ns:
            assert (pair.decision, quick.tier < slow.tier) == (Decision.QUICK, True)
        else:
            assert (pair.decision, quick.tier, pair.ratio) == (Decision.SAME, slow.tier, 1.0)
    random.Random(0).shuffle(rows)
    assert legacy_labels(rows) == labels


# --- the stages ---------------------------------------------------------------------------------------------------


@pytest.fixture
def states() -> list[ProblemState]:
    return [ProblemState(Problem("t", "def f(x):\n", JOB.test, "f", "train", "test"), {"a": " 1", "b": " 2"})]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, str, int]]]:
    """What was asked to be measured, call by call. Every pass takes 5 ns, but the first ends by a fault of ours."""
    asked: list[list[tuple[str, str, int]]] = []

    def fake(cores: Sequence[int], wanted: Iterable[LegacyRun]) -> Iterator[LegacyTiming]:
        assert cores == [3]
        runs = list(wanted)
        asked.append([one.key for one in runs])
        for index, one in enumerate(runs):
            fault = len(asked) == 1 and index == 0
            outcome = LegacyOutcome.INTERNAL if fault else LegacyOutcome.MEASURED
            yield LegacyTiming(*one.key, outcome, None if fault else 5.0, None if fault else 0.1, 1, 10)

    monkeypatch.setattr(stage, "measure_legacy", fake)
    return asked


def test_measuring_goes_on_where_it_stopped(states, measured, tmp_path: Path) -> None:
    path = tmp_path / "legacy.jsonl"
    stage.measure_passes(states, path, [3], SilentReporter())
    assert len(measured[0]) == 2 * 5
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:-9])  # a half-written last line
    stage.measure_passes(states, path, [3], SilentReporter())
    assert sorted(measured[1]) == [("t", "a", 0), ("t", "a", 4), ("t", "b", 4)]
    stage.measure_passes(states, path, [3], SilentReporter())
    assert len(measured) == 2  # not even a container for nothing
    assert stage.pass_outcomes(path) == {"measured": 10}


def test_labels_are_of_the_method_that_the_folder_was_annotated_with(tmp_path: Path) -> None:
    write_rows(tmp_path / stage.LEGACY, [row("a", 0, 2.0), row("b", 0, 3.0)])
    settings = AnnotationSettings(method=TimingMethod.LEGACY)
    Manifest(tmp_path).begin("annotate", settings.recorded())
    recorded = stages._annotated_with(tmp_path)
    assert recorded == settings
    assert [label.solution_id for label in read_labels(tmp_path, recorded)["t"].labels] == ["a", "b"]
    assert not (tmp_path / MEASUREMENTS).exists()
    assert read_labels(tmp_path, AnnotationSettings()) == {}


def test_merging_takes_every_difference_for_an_order(tmp_path: Path) -> None:
    write_rows(tmp_path / "samples.jsonl", [sample(number) for number in range(7)])
    write_rows(tmp_path / "executions.jsonl", USUAL)
    rows = [replace(row(one, 0, avg_ns), task_id=PROBLEM.task_id) for one, avg_ns in
            (("fast", 100.0), ("fast2", 100.1), ("slow", 99.9))]  # fmt: skip
    write_rows(tmp_path / "legacy.jsonl", rows)
    settings = MergeStageSettings(method=TimingMethod.LEGACY)
    summary = merge([PROBLEM], tmp_path, tmp_path / "out", settings=settings, reporter=SilentReporter())
    (merged,) = read_rows(tmp_path / "out" / "merged.jsonl", MergedRow)
    assert [answer.solution_id for answer in merged.answers[:3]] == ["slow", "fast", "fast2"]
    assert summary.pairs["qvs"] == len(merged.decided) == 3
    assert summary.settings["method"] == "legacy"
    assert merge([PROBLEM], tmp_path, tmp_path / "out", reporter=SilentReporter()).kept["problems"] == 0


def test_the_command_line_and_make_pass_the_method_on() -> None:
    assert "--timing" in run("annotate", "--help").output
    assert run("annotate", "--timing", "stopwatch").exit_code == 2
    assert ".venv/bin/code-optimise annotate --timing 'legacy'\n" in make("annotate", "TIMING=legacy")
