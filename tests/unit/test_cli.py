"""The command line: names of options, errors that help, exit codes, and what it says without doing anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app as cli
from harness.cli import stages
from harness.cli.options import split_words
from harness.errors import UserError
from harness.problems import load_problems
from harness.records import FinishReason, Sample
from harness.store import Manifest, read_rows, write_rows
from sandbox.errors import EngineError

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("sample", "annotate", "merge", "train", "eval", "report", "demo", "doctor")
PUBLISHED = {
    "sample": ["data_path", "model_path", "n_seq", "n_iter", "temp", "save_path", "seed", "root"],
    "annotate": ["data_path", "save_path", "seed", "root", "samples"],
    "train": ["data_path", "model_path", "optim", "top_p", "task", "augment", "save_path", "seed", "root"],
    "doctor": ["sandbox", "runtime", "cores", "json", "root"],
    "eval": ["data_path", "model_path", "n_seq", "n_iter", "temp", "regen", "save_path", "seed", "root"],
}


def run(*arguments: str, columns: int = 200):
    return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_answers_at_once() -> None:
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "harness.cli.app", "--help"], cwd=ROOT, check=True, capture_output=True)
        best = min(best, time.perf_counter() - begin)
    assert best < 0.8


@pytest.mark.parametrize(("command", "option"), [(c, o) for c, names in PUBLISHED.items() for o in names])
def test_published_options_are_known(command: str, option: str) -> None:
    assert re.search(rf"--{option}\b", run(command, "--help").output)


@pytest.mark.parametrize("style", ["_", "-"])
def test_underscores_and_dashes_mean_the_same(style: str, tmp_path: Path) -> None:
    names = {"data_path": "starter", "n_seq": "3", "save_path": "x", "task_ids": "", "max_new_tokens": "5"}
    del names["task_ids"]
    arguments = [part for name, value in names.items() for part in (f"--{name.replace('_', style)}", value)]
    result = run("sample", *arguments, "--root", str(tmp_path), f"--dry{style}run", "--limit", "2")
    assert result.exit_code == 0, result.output
    assert "2 problems × 3 = 6 samples" in result.output


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    for command in ("sample", "annotate"):
        assert run(command, "--root", str(tmp_path / "runs"), "--dry-run").exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample", "--n_seq", "4", "--n_iter", "3"], ["--n_iter", "divisor"]),
        (["sample", "--data_path", "no_such_thing"], ["no_such_thing", "starter"]),
        (["annotate"], ["there are no samples", "run `sample` first"]),
        (["annotate", "--task-ids", "nothing"], ["nothing"]),
        (["annotate", "--cores", "1,x"], ["'x'", "--cores"]),
        (["annotate", "--samples", "absent.jsonl"], ["no such file", "absent.jsonl"]),
        (["train"], ["no training data", "run `annotate`"]),
        (["sample", "--save_path", "../up"], ["'../up' is not a name"]),
        (["sample", "--split", ""], ["no split"]),
    ],
)
def test_errors_say_what_and_the_fix_and_end_with_2(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    result = run(*arguments, "--root", str(tmp_path))
    assert result.exit_code == cli.EXIT_USER_ERROR, result.output
    assert result.output.startswith("error: ")
    assert "fix: " in result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output


def test_unknown_options_end_with_2_and_name_the_nearest() -> None:
    result = run("sample", "--n_sequences", "3")
    assert result.exit_code == 2
    assert "--n_seq" in result.output


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("bad", where="here", fix="so"), 2, "error: bad\nwhere: here\nfix: so\n"),
        (EngineError("no engine", fix="start one"), 2, "error: no engine\nfix: start one\n"),
        (KeyboardInterrupt(), 130, "stopped; run the same command again to go on\n"),
    ],
)
def test_exit_codes(error: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(stages, "merge", fail)
    result = run("merge")
    assert (result.exit_code, result.output) == (code, text)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stages, "merge", fail)
    assert isinstance(run("merge").exception, ZeroDivisionError)


def test_core_lists() -> None:
    assert stages.parse_cores(None, "--cores") is None
    assert stages.parse_cores("3, 0-2 2", "--cores") == (3, 0, 1, 2)
    for wrong in ("", "-1", "1-", "a"):
        with pytest.raises(UserError):
            stages.parse_cores(wrong, "--cores")


def test_words_are_split_at_commas_and_space() -> None:
    assert split_words(" a,b  c,") == ["a", "b", "c"]


def test_imported_samples_land_by_split_and_rejects_are_kept(tmp_path: Path) -> None:
    problems = load_problems("starter", ["train", "validation"])
    chosen = [problems[0].task_id, problems[-1].task_id]
    source = tmp_path / "in.jsonl"
    rows = [{"task_id": task_id, "completion": "    return 1\n"} for task_id in chosen]
    source.write_text("\n".join([*map(json.dumps, rows), '{"task_id": "unheard-of", "completion": "x"}', ""]))
    where = stages.Where(tmp_path, "x", "starter", ("train", "validation"))
    stages.import_file(where, source, "someone", stages.reporter(), overwrite=False, dry_run=False)
    for split, task_id in zip(("train", "validation"), chosen, strict=True):
        folder = where.paths.samples(split)
        (sample,) = read_rows(folder / "samples.jsonl", Sample)
        assert (sample.task_id, sample.model, sample.finish_reason) == (task_id, "someone", FinishReason.IMPORTED)
        assert len((folder / "rejected.jsonl").read_text().splitlines()) == 1
        assert Manifest(folder).stage("sample")["settings"]["model"] == "someone"

    source.write_text(json.dumps(rows[0]) + "\n")
    with pytest.raises(UserError, match="other settings"):
        stages.import_file(where, source, "someone", stages.reporter(), overwrite=False, dry_run=False)


def test_a_dry_run_counts_what_is_there(tmp_path: Path) -> None:
    (problem, *_) = load_problems("starter", ["train"])
    where = stages.Where(tmp_path, "default", "starter", ("train",))
    rows = [Sample(problem.task_id, n, "m", "    pass\n", FinishReason.EOS) for n in range(3)]
    write_rows(where.paths.samples("train") / "samples.jsonl", rows)
    result = run("sample", "--split", "train", "--limit", "1", "--root", str(tmp_path), "--dry-run")
    assert "(3 are there)" in result.output.replace("\n", " ")


def make(*arguments: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["make", "-n", *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **(env or {})},
    )
    return done.stdout


def test_make_passes_only_what_is_set() -> None:
    lines = make("sample", "train", "N_SEQ=4", "OPTIM=dpo", "TASK=qvs", "DATA_PATH=it's", "DRY_RUN=1", "OVERWRITE=0")
    assert ".venv/bin/code-optimise sample --data_path 'it'\\''s' --n_seq '4' --dry_run\n" in lines
    assert ".venv/bin/code-optimise train --data_path 'it'\\''s' --optim 'dpo' --task 'qvs' --dry_run\n" in lines


def test_make_runs_the_pipeline_in_order() -> None:
    ran = re.findall(r"code-optimise (\w+)", make("sample", "annotate", "train", "eval"))
    assert ran == ["sample", "annotate", "train", "eval"]


def test_make_takes_no_temporary_folder_for_a_temperature() -> None:
    assert "--temp" not in make("sample", env={"TEMP": "/tmp"})
    assert "--temp '0.4'" in make("sample", env={"TEMP": "0.4"})


def test_make_leaves_docker_out_only_when_told() -> None:
    assert "sandbox image build" in make("test")
    assert "sandbox image" not in make("test", env={"SKIP_DOCKER": "1"})
    assert "sandbox image build" in make("test", env={"SKIP_DOCKER": "0"})


def test_make_lists_its_targets() -> None:
    text = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for target in (*COMMANDS, "setup", "test", "check", "engine-stop", "clean"):
        assert re.search(rf"^  {target} ", text, re.MULTILINE)


@pytest.mark.parametrize(("found", "code"), [((), 0), (("escape: the host",), 1)])
def test_doctor_attacks_the_sandbox_when_asked(found, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.cli import doctor
    from sandbox import Verdict
    from sandbox.conformance import Finding, Kind, Report, Result

    asked = {}

    def suite(open_sandbox, attacks, *, on_progress, **options):
        asked.update(options, attacks=len(attacks), limits=open_sandbox(3).limits)
        findings = tuple(Finding(Kind.ESCAPE, "the host") for _ in found)
        result = Result("escape/a", "escape", "a line", 3, Verdict.PASSED, False, findings)
        on_progress(result)
        return Report(options["runtime"], (result,))

    monkeypatch.setattr(doctor, "run_suite", suite)
    result = run("doctor", "--sandbox", "--runtime", "runsc", "--cores", "3")
    assert result.exit_code == code, result.output
    assert (asked["runtime"], asked["timed"], list(asked["cores"])) == ("runsc", False, [3])
    assert asked["attacks"] >= 100
    assert asked["limits"] == doctor.LIMITS
    for text in ("forging", "attempted", "survivors", *(f"escape/a {finding}" for finding in found)):
        assert text in result.output
    as_json = CliRunner().invoke(cli.app, ["doctor", "--sandbox", "--json"])
    assert json.loads(as_json.stdout)["ok"] is (not found)
    assert asked["timed"] is True


def test_where_to_attack_needs_an_attack() -> None:
    result = run("doctor", "--runtime", "runsc")
    assert result.exit_code == cli.EXIT_USER_ERROR
    assert "--sandbox" in result.output
