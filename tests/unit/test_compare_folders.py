"""`compare` from the command line on folders as `eval` leaves them, and what a folder remembers of its problems."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from fabricate_results import Fabricated, fabricate
from timing_blocks import blocks
from typer.testing import CliRunner

from harness.annotation.settings import AnnotationSettings
from harness.cli import app as cli
from harness.cli.compare import folder_and_models
from harness.errors import UserError
from harness.evaluation.folders import read_source, record_problems, short_labels
from harness.evaluation.results import from_json
from harness.evaluation.stage import EvaluationRequest, report
from harness.problems import load_problems
from harness.store import Manifest, write_rows
from harness.stress.records import StressPair, StressResult, StressSolution

DATA = fabricate(problems=14, n_seq=6)


def _problems_file(path: Path, **changed: str) -> Path:
    rows = []
    for problem in DATA.problems:
        row = {name: getattr(problem, name) for name in ("task_id", "prompt", "test", "entry_point")}
        rows.append(row | (changed if not rows else {}))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _folder(path: Path, models: tuple[str, ...], data_path: Path, *, machine: float, data: Fabricated = DATA) -> Path:
    """What `eval` leaves of these models, timed on a machine that takes `machine` times as long."""
    rng = np.random.default_rng(int(10 * machine))
    samples = [row for row in data.samples if row.model in models]
    executions = [row for row in data.executions if row.model in models]
    ran = {(row.task_id, row.solution_id) for row in executions}
    measured = []
    for task_id, known in data.labels.items():
        times = {s.solution_id: machine * s.runtime_ns for s in known.labels if (task_id, s.solution_id) in ran}
        if times:
            measured += blocks(times, 5, rng, noise=0.002, layout=0.002, task_id=task_id)
    write_rows(path / "samples.jsonl", samples)
    write_rows(path / "executions.jsonl", executions)
    write_rows(path / "measurements.jsonl", measured)
    manifest = Manifest(path)
    manifest.begin("annotate", AnnotationSettings().recorded())
    manifest.note("annotate", base="python:3.11@sha256:0")
    record_problems(path, load_problems(str(data_path), ("test",)), str(data_path), "test")
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    data_path = _problems_file(tmp_path / "p.jsonl")
    evals = tmp_path / "runs" / "evals"
    return (
        _folder(evals / "old" / "p" / "test", ("base", "sft-25"), data_path, machine=1.0),
        _folder(evals / "new" / "p" / "test", ("base", "dpo-qvs"), data_path, machine=3.0),
    )


def run(*words: object) -> tuple[int, str]:
    arguments = ["compare", *map(str, words)]
    result = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    return result.exit_code, result.output


def test_two_folders_side_by_side(two: tuple[Path, Path], tmp_path: Path) -> None:
    root = tmp_path / "runs"
    code, printed = run(*two, "--root", root)
    assert code == 0, printed
    out = root / "compare" / "old_new"
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "manifest.json", "report.html", "report.md", "report.tex", "results.json",
    }  # fmt: skip
    results = from_json((out / "results.json").read_text())
    assert [model.name for model in results.models] == ["old:base", "old:sft-25", "new:base", "new:dpo-qvs"]
    _, again, dpo = results.comparisons
    assert again.speedup.figure.value == pytest.approx(1.0, abs=0.01)
    assert dpo.speedup.figure.value is not None
    assert dpo.speedup.figure.value > 1.1
    assert printed.index("Regressions") < printed.index("Matched speed-up")
    assert "timed apart" in " ".join(printed.split())
    for name in ("report.html", "report.md"):
        assert "timed apart" in (out / name).read_text()
    facts = Manifest(out).stage("compare")["facts"]
    assert facts["sources"]["new"]["linked problems"] >= 10
    assert facts["sources"]["new"]["where"] == str(two[1])
    first = (out / "report.html").read_bytes()
    assert run(*two, "--root", root)[0] == 0
    assert (out / "report.html").read_bytes() == first


def test_one_folder_compared_with_itself_says_what_eval_said_of_it(tmp_path: Path) -> None:
    """Held-out tests, the time limit and larger inputs among it."""
    data_path = _problems_file(tmp_path / "p.jsonl", held_out="def check(candidate): assert candidate")
    folder = _folder(tmp_path / "runs" / "evals" / "x" / "p" / "test", ("base", "dpo-qvs"), data_path, machine=1.0)
    passed = [row for row in DATA.executions if row.verdict == "PASSED"]
    first = [row for row in passed if row.task_id == DATA.problems[0].task_id]
    held_out = [replace(row, verdict="WRONG" if row.sample_id % 3 else "PASSED") for row in first]
    write_rows(folder / "held_out.jsonl", held_out)
    task_id = next(p.task_id for p in DATA.problems if {"base", "dpo-qvs"} <= {
        row.model for row in passed if row.task_id == p.task_id})  # fmt: skip
    ids = sorted({row.solution_id for row in passed if row.task_id == task_id})
    grown = [StressSolution(one, 1e3, [1e2, 1e3], [1.0, 9.0], None, None, None, [], "", []) for one in ids]
    pairs = [StressPair(quick, slow, 1000, 9.0, 8.0, 10.0, "quick", True, 2.0, "quick")
             for quick, slow in itertools.combinations(ids, 2)]  # fmt: skip
    stressed = StressResult(task_id, "length", 5, 1000, 2.0, 9.0, grown, pairs, ids[2:], "")
    write_rows(folder / "stress.jsonl", [stressed])
    problems = load_problems(str(data_path), ("test",))
    settings = AnnotationSettings()
    request = EvaluationRequest("x", str(data_path), "test")
    evaluated = report(problems, ["base", "dpo-qvs"], folder, annotation=settings, request=request)
    code, printed = run(f"{folder}:base,dpo-qvs", "--out", tmp_path / "out", "--seed", settings.seed)
    assert code == 0, printed
    compared = from_json((tmp_path / "out" / "results.json").read_text())
    assert compared.models == evaluated.models
    assert compared.comparisons == evaluated.comparisons
    (one,) = compared.comparisons
    assert one.efficiency is not None
    assert one.efficiency.joint_ns.value is not None
    assert one.held_out is not None
    assert one.held_out.gap.value is not None
    assert one.larger is not None
    assert one.larger.speedup.value is not None
    assert "Growth with the input" in (tmp_path / "out" / "report.html").read_text()


def test_a_folder_in_which_nothing_passed_had_no_held_out_test_to_run(tmp_path: Path) -> None:
    write_rows(tmp_path / "samples.jsonl", DATA.samples[:3])
    failed = [replace(row, verdict="WRONG") for row in DATA.executions[:3]]
    write_rows(tmp_path / "executions.jsonl", failed)
    assert read_source(tmp_path, "x").held_out == []
    write_rows(tmp_path / "executions.jsonl", [*failed[:2], replace(failed[2], verdict="PASSED")])
    assert read_source(tmp_path, "x").held_out is None


def test_models_and_order_are_the_callers(two: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = two
    code, printed = run(f"{new}:dpo-qvs", f"{old / 'results.json'}:sft-25,base", "--out", tmp_path / "out")
    assert code == 0, printed
    results = from_json((tmp_path / "out" / "results.json").read_text())
    assert [model.name for model in results.models] == ["new:dpo-qvs", "old:sft-25", "old:base"]
    figure = results.comparisons[1].speedup.figure
    assert figure.value is not None
    assert figure.value < 0.9
    assert folder_and_models(str(old / "results.json")) == (old, None)
    assert folder_and_models(f"{old}:a,b") == (old, ["a", "b"])


def test_mistakes_are_refused_with_their_fix(two: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = two
    write_rows(tmp_path / "kept" / "samples.jsonl", [DATA.samples[0]])
    changed = _problems_file(tmp_path / "changed.jsonl", test="def check(candidate): assert candidate")
    for words, wanted in (
        ((old,), None),
        ((old, old), "named twice"),
        ((f"{old}:base",), "only one model"),
        ((old, tmp_path / "nowhere"), "no such folder"),
        ((old, tmp_path), "there are no samples"),
        ((old, f"{new}:sft-25"), "no samples of sft-25"),
        ((old, new, "--out", new), "one of the folders"),
        ((f"{old}:base", f"{new}:dpo-qvs", "--out", tmp_path / "kept"), "holds an evaluation"),
        ((old, new, "--data_path", changed), "1 of 14 problems had another prompt, test"),
        ((old, new, "--cores", "0"), "add --measure"),
    ):
        code, printed = run(*words, *([] if "--out" in words else ["--out", tmp_path / "out"]))
        assert code == (0 if wanted is None else 2), printed
        assert wanted is None or wanted in " ".join(printed.split())
    (new / "executions.jsonl").unlink()
    code, printed = run(old, new, "--out", tmp_path / "out")
    assert code == 2
    assert "there are no verdicts" in printed


def test_folders_of_other_problems_are_refused(two: tuple[Path, Path], tmp_path: Path) -> None:
    manifest = json.loads((two[1] / "manifest.json").read_text())
    manifest["stages"]["problems"]["facts"]["digests"]["starter/003"] = "0" * 16
    (two[1] / "manifest.json").write_text(json.dumps(manifest))
    code, printed = run(*two, "--out", tmp_path / "out")
    assert code == 2
    assert "starter/003" in printed
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(two: tuple[Path, Path], tmp_path: Path) -> None:
    for words in ((), ("--measure",)):
        code, printed = run(*two, "--out", tmp_path / "out", "--dry-run", *words)
        assert code == 0, printed
        assert f"{14 * 6 * 4} samples" in printed
    assert not (tmp_path / "out").exists()


def test_a_folder_knows_its_problems(tmp_path: Path) -> None:
    record_problems(tmp_path, DATA.problems[:5], "p.jsonl", "test")
    record_problems(tmp_path, DATA.problems[3:8], "p.jsonl", "test")
    assert len(Manifest(tmp_path).stage("problems")["facts"]["digests"]) == 8
    other = replace(DATA.problems[4], test="def check(candidate): assert candidate")
    with pytest.raises(UserError, match=r"1 problems have another prompt, test.*starter/004"):
        record_problems(tmp_path, [other], "p.jsonl", "test")
    held_out = replace(DATA.problems[2], held_out="def check(candidate): ...")
    record_problems(tmp_path, [held_out], "p.jsonl", "test")  # there was none: nothing is contradicted
    for changed in (replace(held_out, held_out="def check(candidate): assert candidate"), DATA.problems[2]):
        with pytest.raises(UserError, match=r"held-out test now than.*starter/002"):
            record_problems(tmp_path, [changed], "p.jsonl", "test")
    record_problems(tmp_path, [other], "p.jsonl", "test", overwrite=True)
    assert list(Manifest(tmp_path).stage("problems")["facts"]["digests"]) == ["starter/004"]
    write_rows(tmp_path / "samples.jsonl", [asdict(DATA.samples[0])])
    source = read_source(tmp_path, "x")
    assert (source.data, source.data_path, source.split, source.executions) == ("p", "p.jsonl", "test", [])


def test_labels_tell_folders_apart_in_few_words(tmp_path: Path) -> None:
    made = [tmp_path / path for path in ("a/x/test", "b/x/test")]
    assert short_labels(made) == ["a", "b"]
    assert short_labels([tmp_path / "a/x/test", tmp_path / "b/y/test"]) == ["a/x", "b/y"]
    assert short_labels(made[:1]) == ["test"]
    assert len(set(short_labels([tmp_path / "a", tmp_path / "a/b"]))) == 2
    with pytest.raises(UserError, match="named twice"):
        short_labels([tmp_path / "a", tmp_path / "b" / ".." / "a"])
