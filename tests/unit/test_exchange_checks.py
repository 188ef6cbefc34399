"""Published check files: what is taken from them, what is refused, and that they come out again as they went in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.cli import app as cli
from harness.errors import UserError
from harness.exchange.checks import CheckImporter, ImportedCheck, same_program
from harness.exchange.importing import ImportRequest, import_files, pass_numbers
from harness.exchange.published import write_checks
from harness.exchange.rows import RejectedRow
from harness.exchange.shapes import Shape
from harness.merging.merge import MergeSettings
from harness.merging.stage import MergeStageSettings, merge
from harness.problems import load_problems
from harness.progress import SilentReporter
from harness.records import (
    ExecutionRow,
    FinishReason,
    LegacyOutcome,
    LegacyTiming,
    MergedRow,
    Problem,
    Sample,
    TimingMethod,
)
from harness.store import Manifest, read_rows, write_rows

PROMPT = 'def f(x):\r\n    """Doc."""\r\n'
PROBLEMS = [Problem(task, PROMPT, "", "f", "train", "test") for task in ("1", "MBPP/2")]
KNOWN = {problem.task_id: problem for problem in PROBLEMS}


def check(sample: int, output: str = "passed", avg: float | None = 50.0, **other: Any) -> dict[str, Any]:
    return {
        "task_id": 1,
        "completion_id": sample,
        "prompt": PROMPT,
        "completion": f"    return x + {sample}\n",
        "output": output,
        "avg_time": avg,
        "std_time": None if avg is None else 1.5,
    } | other


def write(folder: Path, passes: list[list[dict[str, Any]]]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"check_{number}.json" for number in range(len(passes))]
    for path, rows in zip(files, passes, strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


def bring_in(files: list[Path], folder: Path, *, overwrite: bool = False) -> dict[str, int]:
    request = ImportRequest(files, Shape.CHECKS, {"train": PROBLEMS}, lambda _: folder, "m", overwrite)
    return import_files(request, SilentReporter())


def reasons(tmp_path: Path, rows: list[dict[str, Any]]) -> list[str | None]:
    """Why each row is refused; None: taken."""
    (path,) = write(tmp_path, [rows])
    return [row.reason if isinstance(row, RejectedRow) else None for row in CheckImporter(KNOWN).read(path, 0)]


def verdicts(folder: Path) -> dict[int, ExecutionRow]:
    return {row.sample_id: row for row in read_rows(folder / "executions.jsonl", ExecutionRow)}


def test_verdicts_are_taken_over_and_say_that_they_are_not_ours(tmp_path: Path) -> None:
    failed = check(1, "failed: AssertionError", None)
    files = write(tmp_path, [[check(0), failed, check(2)], [check(0), failed, check(2, "timed out", None)]])
    assert bring_in(files, tmp_path / "run") == {"train": 6}
    rows = verdicts(tmp_path / "run")
    assert [(rows[n].verdict, rows[n].message) for n in range(3)] == [
        ("PASSED", "passed"),
        ("FAILED", "failed: AssertionError"),
        ("INTERNAL", "passed in 1 of 2 passes: passed; timed out"),
    ]
    assert {(row.integrity, row.weak_reason, row.attempts) for row in rows.values()} == {("none", "imported", 0)}
    manifest = Manifest(tmp_path / "run")
    assert manifest.stage("annotate")["settings"]["method"] == "legacy"
    assert "nothing was run" in manifest.stage("annotate")["facts"]["warnings"][0]


def test_a_sample_that_lacks_in_a_pass_is_judged_by_the_others(tmp_path: Path) -> None:
    bring_in(write(tmp_path, [[check(0), check(1)], [check(1)]]), tmp_path / "run")
    assert {row.verdict for row in verdicts(tmp_path / "run").values()} == {"PASSED"}
    rounds = [row.pass_number for row in read_rows(tmp_path / "run" / "legacy.jsonl", LegacyTiming)]
    assert rounds == [0, 0, 1]


def test_a_passing_row_without_a_time_is_no_measurement(tmp_path: Path) -> None:
    bring_in(write(tmp_path, [[check(0, avg=None)]]), tmp_path / "run")
    (row,) = read_rows(tmp_path / "run" / "legacy.jsonl", LegacyTiming)
    assert (row.outcome, row.avg_ns, row.std_ns) == (LegacyOutcome.NO_MEASUREMENT, None, None)


def test_merging_makes_labels_of_their_verdicts_and_times(tmp_path: Path) -> None:
    copy = check(9, avg=10.0, completion="    return x + 0  # a comment is all that differs\n")
    wrong, shaky = check(3, "failed: AssertionError", None), check(4)
    first = [copy, check(0, avg=60.0), check(1, avg=30.0), wrong, shaky]
    second = [copy, check(0, avg=80.0), check(1, avg=50.0), wrong, check(4, "timed out", None)]
    bring_in(write(tmp_path, [first, second]), tmp_path / "run")
    settings = MergeStageSettings(MergeSettings(), TimingMethod.LEGACY)
    summary = merge(PROBLEMS, tmp_path / "run", tmp_path / "data", settings=settings, reporter=SilentReporter())
    (row,) = read_rows(tmp_path / "data" / "merged.jsonl", MergedRow)
    assert [(a.sample_id, a.votes, a.verdict, a.copies) for a in row.answers] == [
        (1, 40.0, "PASSED", 1),
        (0, 70.0, "PASSED", 2),  # its own times: the copy's, whose comment is compiled, too, are another text's
        (3, None, "FAILED", 1),
    ]
    assert {answer.integrity for answer in row.answers} == {"none"}
    assert summary.samples["internal"] == 1
    assert len(row.decided) == 1


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"task_id": 3}, "unknown task '3'"),
        ({"completion_id": "0"}, "column 'completion_id': not a whole number from 0"),
        ({"completion_id": True}, "column 'completion_id': not a whole number from 0"),
        ({"output": None}, "column 'output': not text"),
        ({"completion": 5}, "column 'completion': not text"),
        ({"avg_time": 0}, "column 'avg_time': not from 1 to 3.6e+12"),
        ({"avg_time": float("nan")}, "column 'avg_time': not from 1 to 3.6e+12"),
        ({"avg_time": 10**400}, "column 'avg_time': not from 1 to 3.6e+12"),
        ({"avg_time": "50"}, "column 'avg_time': not a number"),
        ({"std_time": -1}, "column 'std_time': not from 0 to 3.6e+12"),
        ({"prompt": "def g(x):\n"}, "column 'prompt': with the prompt of task '1' it is another program"),
        ({"speed": 5}, "unknown column 'speed'"),
    ],
)
def test_a_row_that_cannot_be_read_costs_itself_only(tmp_path: Path, other: dict[str, Any], reason: str) -> None:
    assert reasons(tmp_path, [check(1), check(0, **other), check(2)]) == [None, reason, None]


def test_every_column_must_be_there(tmp_path: Path) -> None:
    for column in check(0):
        row = check(0)
        del row[column]
        assert reasons(tmp_path, [row, check(1)]) == [f"no column {column!r}", None]


def test_a_sample_is_one_text_and_comes_once_a_pass(tmp_path: Path) -> None:
    assert reasons(tmp_path, [check(0), check(0)]) == [None, "sample 0 of task '1' was there before"]
    importer = CheckImporter(KNOWN)
    one, other = write(tmp_path, [[check(0)], [check(0, completion="    return 7\n")]])
    assert isinstance(next(importer.read(one, 0)), ImportedCheck)
    (row,) = importer.read(other, 1)
    assert isinstance(row, RejectedRow)
    assert "not the text that an earlier pass has" in row.reason


def test_another_layout_of_the_prompt_is_taken_only_if_the_program_stays_the_same(tmp_path: Path) -> None:
    stripped = {"prompt": PROMPT.strip()}
    rows = [
        check(0, **stripped, completion="\n    return x\n"),
        check(1, **stripped, completion="\n    return (\n"),  # neither is Python
        check(2, **stripped, completion="; return x\n"),  # on the docstring's line it is one, on its own it is not
    ]
    assert [reason is None for reason in reasons(tmp_path, rows)] == [True, True, False]
    assert same_program("x = 1 # a", "x = 1", "f")
    assert not same_program("x = 1", "x = 2", "f")


def test_passes_are_numbered_by_name_or_else_by_place(tmp_path: Path) -> None:
    assert pass_numbers([tmp_path / "check_3.json", tmp_path / "check_1.json"]) == [3, 1]
    assert pass_numbers([tmp_path / "a" / "check_0.json", tmp_path / "b" / "check_0.json"]) == [0, 1]
    assert pass_numbers([tmp_path / "check_1.json", tmp_path / "last.json"]) == [0, 1]


def test_a_folder_is_not_imported_into_twice_with_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    one, other = write(tmp_path / "a", [[check(0)]]), write(tmp_path / "b", [[check(5)]])
    bring_in(one, folder)
    bring_in(one, folder)
    with pytest.raises(UserError, match="other settings"):
        bring_in(other, folder)
    (folder / "measurements.jsonl").write_text("")
    bring_in(other, folder, overwrite=True)
    assert [sample.sample_id for sample in read_rows(folder / "samples.jsonl", Sample)] == [5]
    assert not (folder / "measurements.jsonl").exists(), "what was measured is that of other samples"


def test_drawn_samples_are_not_overwritten_unasked(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "samples.jsonl").write_text("")
    with pytest.raises(UserError, match="drawn, not imported"):
        bring_in(write(tmp_path, [[check(0)]]), folder)


def test_a_folder_timed_otherwise_has_no_checks(tmp_path: Path) -> None:
    Manifest(tmp_path).begin("annotate", {"method": "blocks"})
    with pytest.raises(UserError, match="published method"):
        write_checks(tmp_path, KNOWN, tmp_path / "out")


_TIMES = st.none() | st.integers(1, 10**9) | st.floats(1, 1e9)
_ROWS = st.fixed_dictionaries(
    {
        "output": st.sampled_from(["passed", "failed: ", "timed out", "\ud800", "failed: é\r\n\u2028"]),
        "avg_time": _TIMES,
        "std_time": st.none() | st.floats(0, 1e9),
    }
)
_SAMPLES = st.lists(
    st.tuples(
        st.sampled_from([1, "1", "MBPP/2", "mbpp/2", "2"]),
        st.sampled_from([PROMPT, PROMPT.strip(), PROMPT.replace("\r\n", "\n")]),
        st.sampled_from(["\r\n    return x\r\n", "\n    return x\n", "\n    return x  # again", "", "\n\ud800"]),
        st.lists(st.none() | _ROWS, min_size=3, max_size=3),
    ),
    max_size=6,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_SAMPLES)
@example([(1, PROMPT, "\n    return x", [{"output": "passed", "avg_time": 5, "std_time": 0.0}] * 3)] * 2)
def test_any_check_files_come_out_as_they_went_in(tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]) -> None:
    tmp_path = tmp_path_factory.mktemp("checks")
    passes: list[list[dict[str, Any]]] = [[], [], []]
    for number, (task, prompt, completion, rows) in enumerate(drawn):
        for rows_of_pass, row in zip(passes, rows, strict=True):
            if row is not None:
                names = {"task_id": task, "completion_id": number, "prompt": prompt, "completion": completion}
                rows_of_pass.append(names | row)
    if not any(passes):
        return
    folder = tmp_path / "run"
    bring_in(write(tmp_path, passes), folder)
    assert (folder / "rejected.jsonl").read_text() == ""
    write_checks(folder, KNOWN, tmp_path / "out")
    for number, rows in enumerate(passes):
        path = tmp_path / "out" / f"check_{number}.json"
        written = [json.loads(line) for line in path.read_text().splitlines()] if rows else []
        assert written == rows


def test_passes_that_we_timed_come_out_in_the_published_shape(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    Manifest(folder).begin("annotate", {"method": "legacy"})
    samples = [Sample("1", number, "m", f"    return {number}\n", FinishReason.EOS) for number in range(6)]
    verdicts = ["PASSED", "PASSED", "WRONG", "TIMEOUT_CPU", "INTERNAL"]  # the last sample was never judged
    write_rows(folder / "samples.jsonl", samples)
    write_rows(
        folder / "executions.jsonl",
        [
            ExecutionRow("1", number, "m", f"s{number}", verdict, "strong", "", "completed", "", 1, 1, 1, 0)
            for number, verdict in enumerate(verdicts)
        ],
    )
    measured = [LegacyTiming("1", "s0", number, LegacyOutcome.MEASURED, 50.0 + number, 1.0, 1, 9) for number in (0, 1)]
    unsettled = LegacyTiming("1", "s0", 2, LegacyOutcome.UNSTABLE, None, None, 1001, 9)
    write_rows(folder / "legacy.jsonl", [*measured, unsettled])

    counts = write_checks(folder, KNOWN, tmp_path / "out")
    assert counts == {f"check_{number}.json": 4 for number in range(5)}
    passes = [
        [json.loads(line) for line in (tmp_path / "out" / f"check_{number}.json").read_text().splitlines()]
        for number in range(5)
    ]
    assert passes[0][0] == {
        "task_id": "1",
        "completion_id": 0,
        "prompt": PROMPT,
        "completion": "    return 0\n",
        "output": "passed",
        "avg_time": 50.0,
        "std_time": 1.0,
    }
    assert [rows[0]["avg_time"] for rows in passes] == [50.0, 51.0, None, None, None]
    assert [rows[0]["output"] for rows in passes] == ["passed", "passed", "failed: unstable", "passed", "passed"]
    assert [row["output"] for row in passes[0]] == ["passed", "passed", "failed: WRONG", "timed out"]
    bring_in(sorted((tmp_path / "out").iterdir()), tmp_path / "again")
    again = {row.sample_id: row.verdict for row in read_rows(tmp_path / "again" / "executions.jsonl", ExecutionRow)}
    assert again == {0: "INTERNAL", 1: "PASSED", 2: "FAILED", 3: "FAILED"}


def test_from_the_command_line_checks_become_training_data_and_come_out_again(tmp_path: Path) -> None:
    (problem, *_) = load_problems("starter", ["train"])
    rows = [
        check(number, task_id=problem.task_id, prompt=problem.prompt, completion=f"    return {number}\n")
        | ({"avg_time": 10.0 * (number + 1)} if number < 3 else {"output": "failed: ", "avg_time": None})
        for number in range(4)
    ]
    files = write(tmp_path / "theirs", [rows] * 5)
    where = ["--split", "train", "--save_path", "x", "--root", str(tmp_path / "runs")]

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli.app, [*arguments, *where], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert result.exit_code == 0, result.output
        return result.output

    assert "checks 20 for train" in run("import", *map(str, files), "--dry-run")
    assert not (tmp_path / "runs").exists()
    run("import", *map(str, files))
    assert "qvs 3" in run("merge")
    (row,) = read_rows(tmp_path / "runs/datasets/x/starter/train/merged.jsonl", MergedRow)
    assert [answer.votes for answer in row.answers] == [10.0, 20.0, 30.0, None]
    run("export", "--what", "checks", "--out", str(tmp_path / "out"))
    assert [path.read_text() for path in sorted((tmp_path / "out/train/runs").iterdir())] == [
        path.read_text() for path in files
    ]
