"""MBPP as the Hub holds it, brought to the Code-Optimise authors' form."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, UserError
from harness.problems import load_problems
from harness.problems.checks import RawRow, to_problem
from harness.problems.mbpp import convert, docstring, merge_splits, rename

DATA = Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data")) / "mbpp_code_optimise"


def hub_row(**changes: object) -> RawRow:
    values = {
        "task_id": 11,
        "text": "Write a function to add.",
        "code": "import math\r\ndef helper(x):\r\n  return x\r\ndef add(a,b):\r\n  return helper(a) + b",
        "test_list": ["assert add(1,2)==3", "assert 'add' + str(add(4, 5)) == 'add9'"],
        "test_setup_code": "",
        "challenge_test_list": [],
    }
    return RawRow({**values, **changes}, "train", "hub['train'][0]")


def test_convert_gives_the_authors_form() -> None:
    problem = to_problem(convert(hub_row(), "train"), "mbpp")
    assert problem.task_id == "11"
    assert problem.entry_point == "add"  # the function the asserts call, not the first or the last of the code
    assert problem.prompt == 'def add(a,b):\r\n    """Write a function to add."""\n'
    assert problem.test == (
        "def check(candidate):\r\n    assert candidate(1,2)==3\r\n    assert 'add' + str(candidate(4, 5)) == 'add9'"
    )


def test_set_up_code_runs_inside_check() -> None:
    row = convert(hub_row(test_setup_code="one = 1\r\ntwo = 2", test_list=["assert add(one, two) == 3"]), "train")
    assert row.values["test"] == (
        "def check(candidate):\r\n    one = 1\r\n    two = 2\r\n    assert candidate(one, two) == 3"
    )


@pytest.mark.parametrize(
    ("code", "prompt_line"),
    [
        ("def add(a, b): return a + b", "def add(a, b):\r\n"),
        ("def add(a,\n        b):\n    return a + b", "def add(a, b):\r\n"),
        ("def add(a, b) -> int: return a + b", "def add(a, b) -> int:\r\n"),
        ("def add (a, b):\n    return a + b", "def add (a, b):\n"),
    ],
)
def test_def_line(code: str, prompt_line: str) -> None:
    prompt = convert(hub_row(code=code), "train").values["prompt"]
    assert isinstance(prompt, str)
    assert prompt.startswith(prompt_line + "    " + '"""Write')


@pytest.mark.parametrize("text", ["plain", 'says "hi"', 'ends with "quotes"', "a\\nb", '"""', "tab\\", "two\r\nlines"])
def test_docstring_says_the_text(text: str) -> None:
    [expression] = ast.parse("def f():\n" + docstring(text)).body[0].body  # type: ignore[attr-defined]
    assert ast.literal_eval(expression.value) == text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"text": None}, "text"),
        ({"code": 3}, "code"),
        ({"code": "def add(:"}, "code"),
        ({"test_list": []}, "test_list"),
        ({"test_list": "assert add(1, 2)"}, "test_list"),
        ({"test_list": ["assert add(1,"]}, "test_list"),
        ({"test_list": ["assert other(1)"]}, "test_list"),
        ({"test_setup_code": 5}, "test_setup_code"),
    ],
)
def test_bad_row_names_the_column(changes: dict[str, object], column: str) -> None:
    with pytest.raises(DataError, match=f"column '{column}'") as caught:
        convert(hub_row(**changes), "train")
    assert caught.value.where == "hub['train'][0]"


def test_the_prompt_split_counts_as_train() -> None:
    merged = merge_splits({"train": [hub_row()], "test": [hub_row()], "prompt": [hub_row(task_id=2)]})
    assert {split: [row.values["task_id"] for row in rows] for split, rows in merged.items()} == {
        "train": [11, 2],
        "test": [11],
    }
    assert {row.split for row in merged["train"]} == {"train"}


SOURCES = st.lists(
    st.sampled_from(
        ["f(1)", "f", "x.f", "'f'", "'é' + f(2)", "ff(f)", "f(\r\n f(3))", "{'f': f}", "(f\n)", '"""\u2028\x0c"""+f']
    ),
    min_size=1,
)


@given(SOURCES)
def test_rename_changes_names_and_nothing_else(parts: list[str]) -> None:
    source = "\r\n".join(f"assert {part} == {part}" for part in parts)
    renamed = rename(source, "f", "candidate")

    class Renamer(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            return ast.Name("candidate", node.ctx) if node.id == "f" else node

    assert ast.dump(ast.parse(renamed)) == ast.dump(Renamer().visit(ast.parse(source)))
    assert rename(renamed, "candidate", "f") == source


def test_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"task_id": 5, "prompt": "def f(x):\r\n", "test": "def check(candidate):\r\n    pass", "entry_point": "f"}
    datasets.DatasetDict({"validation": datasets.Dataset.from_list([row])}).save_to_disk(str(tmp_path / "saved"))
    monkeypatch.setenv("CODE_OPTIMISE_MBPP", str(tmp_path / "saved"))
    [problem] = load_problems("mbpp", ["validation"])
    assert (problem.task_id, problem.source, problem.split) == ("5", "mbpp", "validation")
    monkeypatch.setenv("CODE_OPTIMISE_MBPP", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="CODE_OPTIMISE_MBPP names no folder"):
        load_problems("mbpp", ["validation"])


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the MBPP folder {DATA} is not there (set CODE_OPTIMISE_DATA)")
def test_the_authors_data_loads_whole_and_converts_back() -> None:
    """All 974 of their problems load; the Hub's form of each gives their text again, character for character."""
    problems = load_problems(str(DATA), ["train", "validation", "test"])
    counts = {split: sum(p.split == split for p in problems) for split in ("train", "validation", "test")}
    assert counts == {"train": 384, "validation": 90, "test": 500}
    rebuilt = 0
    for problem in problems:
        def_line, text = problem.prompt.split("\n", 1)
        calls = re.search(r"\bcandidate\(", problem.test)
        if not calls or f"def {problem.entry_point}(" not in problem.prompt:
            continue  # they took a function that no assert calls, or wrote its name with a space
        asserts = [line.strip() for line in problem.test.split("\r\n")[1:]]
        values = {
            "task_id": int(problem.task_id),
            "text": text.strip().removeprefix('"""').removesuffix('"""'),
            "code": f"{def_line}\n    return None",
            "test_list": [rename(line, "candidate", problem.entry_point) for line in asserts],
        }
        again = to_problem(convert(RawRow(values, problem.split, "row"), problem.split), problem.source)
        stripped = "\r\n".join(line.rstrip() for line in problem.test.split("\r\n"))
        assert (again.prompt, again.test, again.entry_point) == (problem.prompt, stripped, problem.entry_point)
        rebuilt += 1
    assert rebuilt == 929
