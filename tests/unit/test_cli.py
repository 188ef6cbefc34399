"""The command line: names of options, errors that help, exit codes, and what it says without doing anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app as cli
from harness.cli import asked, exchange, stages
from harness.cli.options import split_words
from harness.core_locks import claim
from harness.doctor.facts import AaFacts, EngineFacts, LockdownFacts, MachineFacts
from harness.errors import UserError
from harness.problems import load_problems
from harness.records import FinishReason, Sample
from harness.store import Manifest, read_rows, write_rows
from sandbox.errors import EngineError

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("sample", "annotate", "merge", "train", "eval", "report", "import", "export", "demo", "doctor")
PUBLISHED = {
    "sample": ["data_path", "model_path", "n_seq", "n_iter", "temp", "save_path", "seed", "root"],
    "annotate": ["data_path", "save_path", "seed", "root", "samples"],
    "train": ["data_path", "model_path", "optim", "top_p", "task", "augment", "save_path", "seed", "root"],
    "doctor": ["no-aa", "sandbox", "runtime", "cores", "json", "root"],
    "eval": ["data_path", "model_path", "n_seq", "n_iter", "temp", "regen", "save_path", "seed", "root"],
}


def run(*arguments: str, columns: int = 200):
    return CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_needs_nothing_heavy() -> None:
    """What takes seconds to import is loaded by the command that needs it."""
    heavy = {"torch", "transformers", "trl", "datasets", "docker", "pydantic", "jinja2", "numpy", "ray"}
    code = "import sys, harness.cli.app as cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not heavy & set(done.stdout.split())


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
    assert asked.parse_cores(None, "--cores") is None
    assert asked.parse_cores("3, 0-2 2", "--cores") == (3, 0, 1, 2)
    for wrong in ("", "-1", "1-", "a"):
        with pytest.raises(UserError):
            asked.parse_cores(wrong, "--cores")


def test_words_are_split_at_commas_and_space() -> None:
    assert split_words(" a,b  c,") == ["a", "b", "c"]


def test_imported_samples_land_by_split_and_rejects_are_kept(tmp_path: Path) -> None:
    problems = load_problems("starter", ["train", "validation"])
    chosen = [problems[0].task_id, problems[-1].task_id]
    source = tmp_path / "in.jsonl"
    rows = [{"task_id": task_id, "completion": "    return 1\n"} for task_id in chosen]
    source.write_text("\n".join([*map(json.dumps, rows), '{"task_id": "unheard-of", "completion": "x"}', ""]))
    where = asked.Where(tmp_path, "x", "starter", ("train", "validation"))
    exchange.import_file(where, source, "someone", asked.reporter(), overwrite=False, dry_run=False)
    for split, task_id in zip(("train", "validation"), chosen, strict=True):
        folder = where.paths.samples(split)
        (sample,) = read_rows(folder / "samples.jsonl", Sample)
        assert (sample.task_id, sample.model, sample.finish_reason) == (task_id, "someone", FinishReason.IMPORTED)
        assert len((folder / "rejected.jsonl").read_text().splitlines()) == 1
        assert Manifest(folder).stage("sample")["settings"]["model"] == "someone"

    source.write_text(json.dumps(rows[0]) + "\n")
    with pytest.raises(UserError, match="other settings"):
        exchange.import_file(where, source, "someone", asked.reporter(), overwrite=False, dry_run=False)


def test_a_dry_run_counts_what_is_there(tmp_path: Path) -> None:
    (problem, *_) = load_problems("starter", ["train"])
    where = asked.Where(tmp_path, "default", "starter", ("train",))
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
def test_doctor_attacks_the_sandbox_when_asked(
    found, code: int, monkeypatch: pytest.MonkeyPatch, own_locks
) -> None:
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


# --- doctor, and what it means for annotate ---------------------------------------------------------------------

FIT = MachineFacts(
    system="Linux",
    engine=EngineFacts(
        version="27.0",
        api_version="1.46",
        cgroup_version="2",
        cgroup_driver="systemd",
        security=("name=seccomp", "name=rootless"),
        image="sandbox:1",
    ),
    lockdown=LockdownFacts(seconds=0.4),
)
CALM = AaFacts(pairs=45, decided=0, delta=0.1)


@pytest.fixture
def own_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., object]:
    """The cores' locks in a folder of the test's own, so that neither real runs nor other tests are in its way."""
    from harness.annotation import stage
    from harness.cli import doctor

    cores = tmp_path / "cores"
    for core in range(max(4, os.cpu_count() or 1)):
        (cores / f"cpu{core}").mkdir(parents=True)
    own = partial(claim, folder=cores)
    for module in (doctor, stage):
        monkeypatch.setattr(module, "claim", own)
    return own


def doctor_sees(monkeypatch: pytest.MonkeyPatch, facts: MachineFacts, aa: AaFacts) -> list[object]:
    """Replace the look at this machine; what is done on which core."""
    import harness.doctor.aa
    from harness.cli import doctor

    done: list[object] = []

    def look(root: Path, *, core: int | None, watch_seconds: float) -> MachineFacts:
        done.append(("look", core))
        return facts if core is not None else replace(facts, lockdown=None)

    def run_aa(core: int, reporter: object) -> AaFacts:
        done.append(("aa", core))
        return aa

    monkeypatch.setattr(doctor, "look", look)
    monkeypatch.setattr(harness.doctor.aa, "run_aa", run_aa)
    return done


@pytest.mark.parametrize(
    ("arguments", "aa", "code", "words"),
    [
        ((), CALM, 0, ("none of 45 decided", "from 10% on")),
        ((), replace(CALM, decided=1), 1, ("1 of 45 decided", "not to be trusted", "1 error")),
        ((), replace(CALM, delta=0.2), 0, ("from 20% on", "1 warn")),
        (("--no-aa",), None, 0, ("left out (--no-aa)",)),
    ],
)
def test_doctor_makes_the_aa_run_unless_told_not_to(
    arguments, aa, code: int, words, monkeypatch: pytest.MonkeyPatch, own_locks, tmp_path: Path
) -> None:
    done = doctor_sees(monkeypatch, FIT, aa)
    result = run("doctor", *arguments, "--root", str(tmp_path))
    assert result.exit_code == code, result.output
    for word in words:
        assert word in result.stdout
    assert [what for what, _ in done] == (["look"] if aa is None else ["look", "aa"])
    assert len({core for _, core in done}) == 1
    done.clear()
    data = json.loads(run("doctor", *arguments, "--json", "--root", str(tmp_path)).stdout)
    assert data["facts"]["aa"]["decided"] == (aa.decided if aa else None)
    assert {"identical pairs", "gaps that are seen", "lock-down"} <= {finding["name"] for finding in data["findings"]}


def test_doctor_makes_no_aa_run_without_a_lock_down(monkeypatch, own_locks, tmp_path: Path) -> None:
    done = doctor_sees(monkeypatch, replace(FIT, lockdown=LockdownFacts(error="no limit on memory")), CALM)
    result = run("doctor", "--root", str(tmp_path))
    assert result.exit_code == 1
    assert "no limit on memory" in result.stdout
    assert [what for what, _ in done] == ["look"]


def test_doctor_leaves_cores_alone_that_a_run_has(monkeypatch, own_locks, tmp_path: Path) -> None:
    done = doctor_sees(monkeypatch, FIT, CALM)
    with own_locks(range(os.cpu_count() or 1)):
        result = run("doctor", "--root", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert f"process {os.getpid()}" in result.stdout
    assert done == [("look", None)]


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A run folder with one sample."""
    (problem, *_) = load_problems("starter", ["train"])
    folder = asked.Where(tmp_path, "default", "starter", ("train",)).paths.samples("train")
    write_rows(folder / "samples.jsonl", [Sample(problem.task_id, 0, "m", "    pass\n", FinishReason.EOS)])
    return folder


def test_annotate_is_refused_on_an_unfit_machine_before_anything_is_lost(
    drawn: Path, own_locks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    (drawn / "executions.jsonl").write_text("{}\n")
    result = run("annotate", "--split", "train", "--root", str(tmp_path), "--overwrite")
    assert result.exit_code == cli.EXIT_USER_ERROR
    for word in ("error: no Docker engine answers", f"{tmp_path}/none.sock", "where: doctor", "fix: ", "DOCKER_HOST"):
        assert word in result.output
    assert (drawn / "executions.jsonl").read_text() == "{}\n"


def test_annotate_looks_at_the_machine_only_when_it_runs(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from harness.annotation import stage

    def fail(*_: object) -> None:
        raise AssertionError("looked")

    monkeypatch.setattr(stage, "check_machine", fail)
    assert run("annotate", "--split", "train", "--root", str(tmp_path), "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ({}, {"GOMP_SPINCOUNT": "3000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_threads_spin_briefly_unless_told_otherwise(given: dict[str, str], then: dict[str, str]) -> None:
    code = (
        "import os, sys\nimport harness.cli.app as cli\nsys.argv[1:] = ['--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print({name: os.environ[name] for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY') if name in os.environ})"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean | given, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == str(then)
