"""The published timing method in the real sandbox: that it measures, what moves its labels, and what cannot forge them.

No test here compares times more closely than a factor that noise does not reach. A pass may come to nothing on a busy
machine (that is the method): so there are five of each, as published, and what measured is looked at.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import annotate, read_labels
from harness.errors import UserError
from harness.merging.stage import MergeStageSettings, merge
from harness.problems import load_problems, starter_solutions
from harness.progress import SilentReporter
from harness.records import FinishReason, LegacyOutcome, LegacyTiming, Sample, TimingMethod
from harness.store import Manifest, read_rows, write_rows
from harness.timing.legacy import PASSES, legacy_labels, measure_legacy, passes_of
from harness.timing.solution_id import solution_id
from sandbox import Block, Job, Sandbox, TimedSolution, TimingSettings, allowed_cores

pytestmark = pytest.mark.docker

# In the style of the released data: MBPP's prompt with its docstring, three asserts, a model's completion.
PROMPT = (
    'def find_Min_Sum(num):\r\n    """Write a python function to find minimum sum of factors of a given number."""\n'
)
TEST = (
    "def check(candidate):\r\n    assert candidate(12) == 7\r\n    assert candidate(105) == 15\r\n"
    "    assert candidate(2) == 2"
)
BODY = (
    "    total = 0\n    i = 2\n    while i * i <= num:\n        while num % i == 0:\n            total += i\n"
    "            num //= i\n        i += 1\n    return total + num if num > 1 else total\n"
)
COMMENT = "    # we go through all factors from the smallest one, and divide by each as often as we can\n" * 150
FORGED = '{"outcome": "measured", "avg_ns": 2.0, "std_ns": 0.0, "blocks": 1}'
TO_EVERY_DESCRIPTOR = (
    "import os\nfor fd in range(4, 64):\n    try:\n        os.write(fd, b'''" + FORGED + "\\n''')\n"
    "    except OSError:\n        pass\n"
)
SWALLOWS_THE_ALARM = (
    "    while True:\n        try:\n            while True:\n                num += 1\n"
    "        except Exception:\n            pass\n"
)
SOLUTIONS = {
    "plain": PROMPT + BODY,
    "commented": PROMPT + COMMENT + BODY,
    "prints a forged line": PROMPT + f"    print('''{FORGED}''', flush=True)\n" + BODY,
    "writes it to every descriptor": TO_EVERY_DESCRIPTOR + PROMPT + BODY,
    "writes it and leaves": TO_EVERY_DESCRIPTOR + "os._exit(0)\n" + PROMPT + BODY,
    "wrong": PROMPT + "    return num\n",
    "takes no alarm": PROMPT + SWALLOWS_THE_ALARM,
}
UNTRUSTED = ("writes it to every descriptor", "writes it and leaves")
ONCE = ("wrong", "takes no alarm", *UNTRUSTED)  # they come to the same each time


def job(name: str) -> Job:
    return Job(SOLUTIONS[name], TEST, "find_Min_Sum", PROMPT)


@pytest.fixture(scope="module")
def rows() -> list[LegacyTiming]:
    cores = allowed_cores()[-1:]
    runs = [
        run
        for run in passes_of(lambda: [("t", name, job(name)) for name in SOLUTIONS])
        if run.pass_number == 0 or run.solution_id not in ONCE
    ]
    return list(measure_legacy(cores, runs))


def measured(rows: list[LegacyTiming], name: str) -> list[float]:
    return [row.avg_ns for row in rows if row.solution_id == name and row.avg_ns is not None]


def test_every_pass_gives_a_row(rows):
    expected = {(name, number) for name in SOLUTIONS for number in range(1 if name in ONCE else PASSES)}
    assert {(row.solution_id, row.pass_number) for row in rows} == expected
    assert len(rows) == len(expected)
    assert all(row.cpu_ns > 1_000_000 for row in rows)


def test_it_times_mostly_the_compiler(rows):
    """The function itself takes about a microsecond for the three asserts."""
    assert measured(rows, "plain"), [row.outcome for row in rows]
    assert min(measured(rows, "plain")) > 15_000


def test_a_comment_moves_its_label_and_not_ours(rows):
    assert min(measured(rows, "commented")) > 1.5 * min(measured(rows, "plain"))
    labels = legacy_labels([row for row in rows if row.solution_id in ("plain", "commented")])
    (pair,) = labels.comparisons
    assert (pair.quick_id, pair.slow_id, pair.decision) == ("plain", "commented", "quick")

    # With us the two are one solution, with one label. And where they are timed apart all the same, they are as fast.
    assert solution_id(SOLUTIONS["plain"], "find_Min_Sum") == solution_id(SOLUTIONS["commented"], "find_Min_Sum")
    core = allowed_cores()[-1]
    timed = tuple(TimedSolution(name, job(name)) for name in ("plain", "commented"))
    with Sandbox(cores=[core]) as sandbox:
        block = sandbox.measure(Block("b", timed, hash_seed=1, settings=TimingSettings(samples=3)), core=core)
    plain, commented = (min(one.cpu_ns) / one.loops for one in block.timings)
    assert 1 / 1.4 < commented / plain < 1.4
    assert plain < 0.2 * min(measured(rows, "plain"))


def test_a_forged_line_is_silenced_or_spoils_the_pass(rows):
    honest, printing = measured(rows, "plain"), measured(rows, "prints a forged line")
    assert printing
    assert min(printing) > 0.7 * min(honest)
    for name in UNTRUSTED:
        assert [row.outcome for row in rows if row.solution_id == name] == [LegacyOutcome.NO_MEASUREMENT]


def test_what_fails_or_hangs_has_no_figures(rows):
    outcomes = {row.solution_id: row.outcome for row in rows}
    assert outcomes["wrong"] == LegacyOutcome.FAILED
    assert outcomes["takes no alarm"] == LegacyOutcome.TIMEOUT
    assert not measured(rows, "wrong") + measured(rows, "takes no alarm")


def test_a_folder_is_annotated_merged_and_resumed(tmp_path: Path):
    problem = load_problems("starter", ["train"])[0]
    folder = tmp_path / "samples"
    texts = [one.code for one in starter_solutions()[problem.task_id]] + ["    return None\n"]
    samples = [Sample(problem.task_id, n, "m", text, FinishReason.EOS) for n, text in enumerate(texts)]
    write_rows(folder / "samples.jsonl", samples)
    settings = AnnotationSettings(method=TimingMethod.LEGACY)

    def run(settings: AnnotationSettings = settings):
        return annotate([problem], folder, settings=settings, reporter=SilentReporter())

    summary = run()
    passing = summary.verdicts["PASSED"]
    assert passing == len(texts) - 1
    assert summary.blocks == 0
    assert (
        sum(summary.passes.values()) == PASSES * passing == len(list(read_rows(folder / "legacy.jsonl", LegacyTiming)))
    )
    assert Manifest(folder).stage("annotate")["settings"]["method"] == "legacy"

    written = (folder / "legacy.jsonl").read_bytes()
    (folder / "legacy.jsonl").write_bytes(written[:-10])  # the last line is half written
    assert run().passes.keys() <= {"measured", "timeout", "unstable"}
    keys = [row.key for row in read_rows(folder / "legacy.jsonl", LegacyTiming)]
    assert len(keys) == len(set(keys)) == PASSES * passing
    with pytest.raises(UserError, match="method"):
        run(AnnotationSettings())

    labels = read_labels(folder, settings)[problem.task_id]
    timed = len(labels.labels)
    assert timed >= 2
    out = tmp_path / "out"
    merged = merge([problem], folder, out, settings=MergeStageSettings(method=TimingMethod.LEGACY),
                   reporter=SilentReporter())  # fmt: skip
    assert merged.pairs == {"qvs": timed * (timed - 1) // 2, "qvs_confirmed": 0, "pvf": timed}
    (row,) = map(json.loads, (out / "merged.jsonl").read_text().splitlines())
    assert [answer["votes"] for answer in row["answers"][:timed]] == sorted(one.runtime_ns for one in labels.labels)
