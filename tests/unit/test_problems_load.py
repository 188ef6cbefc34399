"""load_problems on files of every shape; every complaint names the file, the row and the column."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from harness.errors import DataError, UserError
from harness.problems import BUILTIN, load_problems, select_problems
from harness.problems.checks import check_fault, function_name
from harness.problems.hub import hub_splits
from harness.records import Problem

CHECK = "def check(candidate):\n    assert candidate(1) == 1\n"


def row(task_id: object = "a", **changes: object) -> dict[str, object]:
    values = {"task_id": task_id, "prompt": "def f(x):\n", "test": CHECK, "entry_point": "f"}
    return {key: value for key, value in {**values, **changes}.items() if value is not ...}


def jsonl(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return str(path)


def test_jsonl_rows_without_a_split_belong_to_test(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "p.jsonl", row("a"), row(7, split="train"), row("c", canonical_solution="    pass", split=None)
    )
    assert load_problems(path, ["test", "train"]) == [
        Problem("a", "def f(x):\n", CHECK, "f", "test", path),
        Problem("c", "def f(x):\n", CHECK, "f", "test", path),
        Problem("7", "def f(x):\n", CHECK, "f", "train", path),
    ]


def test_a_split_asked_for_twice_is_loaded_once(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", row("a"))
    assert len(load_problems(path, ["test", "test"])) == 1


@pytest.mark.parametrize("name", ["p.jsonl.gz", "p.jsonl"])  # told by content, not by name
def test_gzip_blank_lines_and_byte_order_mark(tmp_path: Path, name: str) -> None:
    content = (
        b"\xef\xbb\xbf" + json.dumps(row("é")).encode() + b"\n\n" + json.dumps(row("b"), ensure_ascii=False).encode()
    )
    path = tmp_path / name
    path.write_bytes(gzip.compress(content))
    assert [p.task_id for p in load_problems(str(path), ["test"])] == ["é", "b"]


def test_line_ends_are_kept_in_every_source(tmp_path: Path) -> None:
    crlf = row("a", prompt='def f(x):\r\n    """x"""\n', test="def check(candidate):\r\n    assert candidate(1)\r\n")
    path = jsonl(tmp_path / "p.jsonl", crlf)
    folder = str(tmp_path / "saved")
    datasets.Dataset.from_list([crlf]).save_to_disk(folder)
    for source in (path, folder):
        [problem] = load_problems(source, ["test"])
        assert (problem.prompt, problem.test) == (crlf["prompt"], crlf["test"])


def test_saved_dataset_dict(tmp_path: Path) -> None:
    folder = str(tmp_path / "saved")
    splits = {"train": [row("1"), row("2")], "test": [row("3")]}
    datasets.DatasetDict({s: datasets.Dataset.from_list(rows) for s, rows in splits.items()}).save_to_disk(folder)
    assert [(p.task_id, p.split) for p in load_problems(folder, ["test", "train"])] == [
        ("3", "test"),
        ("1", "train"),
        ("2", "train"),
    ]
    with pytest.raises(UserError, match="no split 'validation', only train, test"):
        load_problems(folder, ["validation"])


def test_saved_single_dataset_goes_by_its_column_then_its_own_split(tmp_path: Path) -> None:
    folder = str(tmp_path / "saved")
    rows = [row(1, split="train"), row(2, split=None)]
    datasets.Dataset.from_list(rows, split=datasets.Split.VALIDATION).save_to_disk(folder)
    assert [(p.task_id, p.split) for p in load_problems(folder, ["train", "validation"])] == [
        ("1", "train"),
        ("2", "validation"),
    ]


BAD_ROWS = [
    (row(task_id=...), "task_id", "missing"),
    (row(prompt=...), "prompt", "missing (there are: task_id, test, entry_point)"),
    (row(test=...), "test", "missing"),
    (row(entry_point=...), "entry_point", "missing"),
    (row(task_id=True), "task_id", "should be text or an integer, is bool"),
    (row(task_id=1.5), "task_id", "is float"),
    (row(task_id=""), "task_id", "is empty"),
    (row(prompt=None), "prompt", "should be text, is NoneType"),
    (row(prompt="  \n"), "prompt", "is empty"),
    (row(prompt="def f(x):  # \ud800"), "prompt", "surrogate"),
    (row(test=["assert f(1) == 1"]), "test", "is list"),
    (row(test="def check(candidate:\n"), "test", "is not Python source"),
    (row(test="x = '\0'"), "test", "is not Python source"),
    (row(test="def test(candidate):\n    pass\n"), "test", "does not define check"),
    (row(test="if True:\n    def check(candidate):\n        pass\n"), "test", "does not define check"),
    (row(test="def check():\n    pass\n"), "test", "one argument"),
    (row(entry_point="two words"), "entry_point", "'two words' is not the name"),
    (row(entry_point="lambda"), "entry_point", "'lambda' is not the name"),
    (row(split=3), "split", "3 is not the name of a split"),
    (row(split="../train"), "split", "is not the name of a split"),
]


@pytest.mark.parametrize(("bad", "column", "words"), BAD_ROWS)
def test_bad_jsonl_row(tmp_path: Path, bad: dict[str, object], column: str, words: str) -> None:
    path = jsonl(tmp_path / "p.jsonl", row("good"), bad)
    with pytest.raises(DataError) as caught:
        load_problems(path, ["test"])
    assert caught.value.where == f"{path}:2"
    assert f"column {column!r}" in caught.value.what
    assert words in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize(
    ("bad", "column"),
    [(row(2, test=...), "test"), (row(2, entry_point="a b"), "entry_point"), (row(2, prompt=5), "prompt")],
)
def test_bad_saved_row(tmp_path: Path, bad: dict[str, object], column: str) -> None:
    folder = str(tmp_path / "saved")
    good = {key: value for key, value in row(1).items() if key in bad and isinstance(value, type(bad[key]))}
    good |= {"prompt": 4} if column == "prompt" else {}
    datasets.DatasetDict({"train": datasets.Dataset.from_list([good, bad])}).save_to_disk(folder)
    with pytest.raises(DataError, match=f"column '{column}'") as caught:
        load_problems(folder, ["train"])
    # A missing column or a wrong column type is noticed at the first row already.
    assert caught.value.where == f"{folder}['train'][{1 if column == 'entry_point' else 0}]"


def test_duplicate_ids_across_the_asked_splits(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", row("x", split="train"), row("x", split="test"))
    assert len(load_problems(path, ["train"])) == 1
    with pytest.raises(DataError, match=rf"'x' is there already \({re.escape(path)}:1\)") as caught:
        load_problems(path, ["train", "test"])
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'{"task_id": 1\n', 1, "not a line of JSON"),
        (json.dumps(row()).encode() + b"\n\n[1]\n", 3, "a JSON list, not an object"),
        (b"\xff\xfe{}\n", 1, "not a line of JSON"),
        (b"[" * 100_000 + b"\n", 1, "not a line of JSON"),
        (gzip.compress(json.dumps(row()).encode() * 50)[:-20], 1, "cannot be read"),
        (b"\x1f\x8bnot gzip", 1, "cannot be read"),
    ],
)
def test_unreadable_file(tmp_path: Path, content: bytes, line: int, words: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        load_problems(str(path), ["test"])
    assert caught.value.where == f"{path}:{line}"


def test_file_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("\n\n")
    with pytest.raises(DataError, match="there are no rows"):
        load_problems(str(path), ["test"])


def test_missing_split_names_those_there(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "p.jsonl", row("a"))
    with pytest.raises(UserError, match="no split 'train', only test") as caught:
        load_problems(path, ["train"])
    assert "--split test" in caught.value.fix


def test_what_is_not_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder saved by datasets"):
        load_problems(str(tmp_path), ["test"])
    with pytest.raises(UserError, match="no such file or folder"):
        load_problems(str(tmp_path / "absent.jsonl"), ["test"])
    (tmp_path / "p.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not a kind of file"):
        load_problems(str(tmp_path / "p.parquet"), ["test"])


@pytest.mark.parametrize(("name", "near"), [("humaneval", "human_eval"), ("startr", "starter"), ("MBBP", ""), ("", "")])
def test_unknown_name_lists_the_known(name: str, near: str) -> None:
    with pytest.raises(UserError) as caught:
        load_problems(name, ["test"])
    assert all(known in str(caught.value) for known in BUILTIN)
    assert (f"did you mean {near!r}" in caught.value.what) == bool(near)


def test_built_in_name_wins_over_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "starter").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_problems("starter", ["test"])[0].source == "starter"
    with pytest.raises(DataError, match="not a folder saved"):
        load_problems("./starter", ["test"])


def test_human_eval() -> None:
    problems = load_problems("human_eval", ["test"])
    assert len(problems) == 164
    assert problems[0].task_id == "HumanEval/0"
    assert all(f"def {p.entry_point}" in p.prompt for p in problems)
    with pytest.raises(UserError, match="no split 'train'"):
        load_problems("human_eval", ["train"])


def test_the_human_eval_package_is_read_and_never_imported() -> None:
    """Its code runs untrusted programs on the host."""
    script = (
        "import sys; from harness.problems import load_problems; load_problems('human_eval', ['test']); "
        "sys.exit('human_eval' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_hub_reader_on_a_local_copy(tmp_path: Path) -> None:
    """The real `load_dataset`, given a folder of files as the Hub holds them."""
    for split in ("train", "test"):
        jsonl(tmp_path / f"{split}.jsonl", row(f"{split}/0"), row(f"{split}/1"))
    splits = hub_splits(str(tmp_path))
    assert {s: [r.values["task_id"] for r in rows] for s, rows in splits.items()} == {
        "train": ["train/0", "train/1"],
        "test": ["test/0", "test/1"],
    }
    assert splits["test"][1].where == f"{tmp_path}['test'][1]"


@pytest.mark.parametrize(("name", "fix"), [("somebody/problems", "save_to_disk"), ("mbpp", "CODE_OPTIMISE_MBPP")])
def test_unreachable_hub_says_what_to_do(name: str, fix: str) -> None:
    script = f"from harness.problems import load_problems; load_problems({name!r}, ['test'])"
    environment = {k: v for k, v in os.environ.items() if k != "CODE_OPTIMISE_MBPP"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "harness.errors.UserError" in done.stderr
    assert "could not be fetched from the Hub" in done.stderr
    assert fix in done.stderr.rpartition("fix:")[2]


@pytest.mark.parametrize(
    "test", [CHECK, "def check(candidate, n=3): pass", "def check(*candidates): pass", "def check(): pass\n" + CHECK]
)
def test_checks_that_can_be_called(test: str) -> None:
    assert check_fault(test) == ""


@pytest.mark.parametrize("test", ["def check(a, b): pass", "def check(a, *, b): pass", CHECK + "def check(): pass"])
def test_checks_that_cannot_be_called(test: str) -> None:
    assert "one argument" in check_fault(test)


@pytest.mark.parametrize(
    ("written", "name"),
    [("f", "f"), ("f ", "f"), ("f(x): # f(1)", "f"), ("g(x)", "g(x)"), ("f.g", "f.g")],
)
def test_entry_point_as_it_is_meant(written: str, name: str) -> None:
    assert function_name(written, "def f (x):\r\n") == name


def problems_named(*ids: str, split: str = "test") -> list[Problem]:
    return [Problem(task_id, "def f():\n", CHECK, "f", split, "s") for task_id in ids]


def test_select_keeps_the_order_and_limits_each_split() -> None:
    problems = problems_named("a", "b", "c", split="train") + problems_named("d", "e")
    assert select_problems(problems) == problems
    assert [p.task_id for p in select_problems(problems, limit=2)] == ["a", "b", "d", "e"]
    assert [p.task_id for p in select_problems(problems, task_ids=["e", "b", "b"])] == ["b", "e"]
    assert [p.task_id for p in select_problems(problems, limit=1, task_ids=["c", "b", "e"])] == ["b", "e"]


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [("17", "did you mean HumanEval/17?"), ("HumanEval/171", "HumanEval/17"), ("zzzz", "look up the ids")],
)
def test_unknown_ids_name_the_nearest(wanted: str, hint: str) -> None:
    problems = problems_named("HumanEval/16", "HumanEval/17")
    with pytest.raises(UserError) as caught:
        select_problems(problems, task_ids=["HumanEval/16", wanted])
    assert repr(wanted) in caught.value.what
    assert "'HumanEval/16'" not in caught.value.what
    assert hint in caught.value.fix


def test_nothing_selected_is_refused() -> None:
    for limit in (0, -1):
        with pytest.raises(UserError, match="leaves no problem"):
            select_problems(problems_named("a"), limit=limit)
    with pytest.raises(UserError, match="names no problem"):
        select_problems(problems_named("a"), task_ids=[])
