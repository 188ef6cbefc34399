"""MBPP+ and HumanEval+: what a row is made into, and that its held-out test tells right from wrong.

The tests made here are run on functions of this file only; the canonical solutions of the data run in the sandbox
(tests/docker/test_plus_sets.py).
"""

from __future__ import annotations

import ast
import gzip
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from harness.annotation.measuring import timed_problem
from harness.annotation.settings import AnnotationSettings
from harness.errors import DataError, UserError
from harness.problems import load_problems
from harness.problems.checks import RawRow, to_problem
from harness.problems.human_eval import human_eval_rows
from harness.problems.plus import HUMAN_EVAL_PLUS, MBPP_PLUS, find_file, mbpp_plus_row
from harness.problems.plus_inputs import affordable, argument_forms, literal, number, read_inputs
from harness.problems.plus_tests import AS_SET, AS_TRUTH, PLAIN, held_out_test, own_test, view_of
from harness.records import TimingInputs

DATA = Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data")) / "MbppPlus.jsonl"
NEEDS_DATA = pytest.mark.skipif(not DATA.is_file(), reason=f"{DATA} is not there (set CODE_OPTIMISE_DATA)")


def plus_row(**changes: object) -> RawRow:
    values = {
        "task_id": "Mbpp/12",
        "prompt": '"""\nAdd up.\nassert add((1, 2), 3) == 6\n"""\n',
        "entry_point": "add",
        "canonical_solution": "\nimport math\ndef add(values, more):\n    return sum(values) + more\n",
        "assertion": "\nassert add((1, 2), 3) == 6\nassert add((), 3) == 3\n",
        "base_input": [[[1, 2], 3], [[], 3]],
        "plus_input": [[[4, 5, 6], 0.5], [[1], -1]],
        "contract": "",
        "atol": 0,
    }
    return RawRow({**values, **changes}, "test", "MbppPlus.jsonl:1")


def run(test: str, candidate: Callable[..., Any]) -> None:
    scope: dict[str, Any] = {}
    exec(test, scope)
    scope["check"](candidate)


# --- inputs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asserts", "json_input", "value"),
    [
        ("assert f((3, 4), [1]) == 1", [[5, [6]], [2]], ((5, [6]), [2])),
        ("assert f([(1, 2), (3, 4)]) == 1", [[[5, 6], []]], ([(5, 6), ()],)),
        ("assert f((1, (2, 3))) == 1", [[1, [2, [3, [4]]]]], ((1, (2, (3, (4,)))),)),  # tuples all the way down
        ("assert f({'a': (1, 2)}, 3) == 1", [{"b": [3]}, 4], ({"b": (3,)}, 4)),
        ("assert f((1, 2)) == 1\nassert f([1, 2]) == 1", [[5]], ([5],)),  # both are right: as JSON has it
        ("assert f({1, 2}) == 1", [[5, 5]], ({5},)),
        ("assert f(1, 1j) == 1", ["-3", "(-0-2j)"], (-3, complex(-0.0, -2.0))),
        ("assert f(1, 'a') == 1", [2, "3"], (2, "3")),
        ("assert f(1) == 1", ["apple"], ("apple",)),
        ("assert f(n) == 1", [[1]], ([1],)),  # nothing is known
        ("assert set(f((1, 2))) == {1}", [[5]], ((5,),)),
        ("assert f(1) == 1", [1, [2]], (1, [2])),
    ],
)
def test_inputs_have_the_types_of_the_asserts(asserts: str, json_input: list[Any], value: tuple[Any, ...]) -> None:
    [found] = read_inputs([json_input], argument_forms(asserts, "f", [json_input]))
    assert repr(found) == repr(value)


def test_numbers_as_python_prints_them() -> None:
    assert [number(text) for text in ("3", "1e-100", "(1+2j)", "x")] == [3, 1e-100, 1 + 2j, None]


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.complex_numbers() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=12,
) | st.sets(st.integers())


@given(plain_values)
def test_a_literal_makes_the_value_anew(value: Any) -> None:
    again = eval(literal(value))
    assert type(again) is type(value)
    assert again == value if isinstance(value, set) else repr(again) == repr(value)  # a set has no order


def test_what_is_no_plain_value_has_no_literal() -> None:
    with pytest.raises(TypeError, match="object is no plain value"):
        literal([object()])


def test_of_inputs_too_dear_to_judge_one_is_kept() -> None:
    assert affordable("Mbpp/123", [(5,), (10_000,), (10_001,), (7,)]) == [(5,), (10_000,), (7,)]
    assert affordable("Mbpp/599", [(5,), (10**8,), (7,)]) == [(5,), (7,)]
    assert affordable("Mbpp/630", [((1,) * 9,), ((1, 2),)]) == [((1, 2),)]
    assert affordable("Mbpp/12", [(10**9,), (10**9,)]) == [(10**9,), (10**9,)]


# --- tests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asserts", "view"),
    [
        ("assert f(1) == 2", PLAIN),
        ("assert set(f([1])) == set([1])", AS_SET),
        ("assert not f('a')\nassert f('b')", AS_TRUTH),
        ("import math\nassert math.isclose(f(1), 2.0, rel_tol=0.001)", PLAIN),
        ("assert set([1]) == set(f([1]))", PLAIN),
    ],
)
def test_view(asserts: str, view: str) -> None:
    assert view_of("Mbpp/1", asserts, "f") == view


def test_own_test_keeps_the_asserts_and_compares_as_the_prompt_shows() -> None:
    asserts = "\nimport math\nassert f((1, 2)) == (2, 1)\nassert math.isclose(f(2), 1.5)\n"
    assert own_test(asserts, "assert f((1, 2)) == (2, 1)", "f") == (
        "def check(candidate):\n    import math\n    assert candidate((1, 2)) == (2, 1)\n"
        "    assert math.isclose(candidate(2), 1.5)\n"
    )
    shown = "assert set(f((1, 2))) == set((2, 1))"
    run(own_test("assert f((1, 2)) == (2, 1)", shown, "f"), lambda pair: pair)
    with pytest.raises(AssertionError):
        run(own_test("assert f((1, 2)) == (2, 1)", "assert f((1, 2)) == (2, 1)", "f"), lambda pair: pair)
    run(own_test("assert math.isclose(f(2), 1.5)", "", "f"), lambda _: 1.5)  # Mbpp/120 forgets to import it
    with pytest.raises(ValueError, match="no assert calls 'g'"):
        own_test("assert f(1) == 2", "", "g")


def held_out(
    canonical: str, *inputs: tuple[Any, ...], task_id: str = "Mbpp/1", view: str = PLAIN, atol: float = 0.0
) -> str:
    test = held_out_test(task_id, "f", canonical, inputs, view=view, atol=atol)
    assert test is not None
    return test


def test_held_out_tells_right_from_hard_coded() -> None:
    test = held_out("def f(n):\n    return helper(n)\ndef helper(n):\n    return n * n\n", (3,), (4,))
    run(test, lambda n: n**2)
    with pytest.raises(AssertionError, match="input 1 of those"):
        run(test, {3: 9}.get)
    with pytest.raises(ZeroDivisionError):
        run(test, lambda n: n / 0)


def test_neither_sees_what_the_other_did_to_the_arguments() -> None:
    test = held_out("def f(values):\n    values.sort()\n    return values[0]\n", ([3, 1, 2],), ([5, 4],))

    def spoils(values: list[int]) -> int:
        least = min(values)
        values.clear()
        return least

    run(test, spoils)


@pytest.mark.parametrize(
    ("canonical", "got", "atol", "passes"),
    [
        ("0.3", 0.1 + 0.2, 0, True),
        ("0.3", 0.3001, 0, False),
        ("0.3", 0.3001, 1e-3, True),
        ("100", 100.5, 1e-3, False),
        ("100", 100.0005, 1e-3, True),
        ("100", 100.0000001, 0, False),  # an integer is expected: exactly
        ("1e20", 1e20 + 1e12, 0, True),  # relative tolerance
        ("(0.3, [1.0])", (0.1 + 0.2, [1.0 + 1e-9]), 0, True),
        ("(0.3, 1.0)", [0.3, 1.0], 0, False),
        ("[0.3]", [0.3, 0.3], 0, False),
        ("{'a': 0.3}", {"a": 0.1 + 0.2}, 0, True),
        ("{'a': 0.3}", {"b": 0.3}, 0, False),
        ("float('nan')", math.nan, 0, True),
        ("float('inf')", 1e300, 0, False),
        ("10.0", 10**400, 0, False),
        ("'a'", "a", 0, True),
        ("1.0", "1.0", 1, False),
        ("None", 0.0, 1, False),
        ("1j", 1j + 1e-9, 0, True),
    ],
)
def test_tolerance(canonical: str, got: Any, atol: float, passes: bool) -> None:
    test = held_out(f"def f(_):\n    return {canonical}\n", (0,), atol=atol)
    if passes:
        run(test, lambda _: got)
    else:
        with pytest.raises(AssertionError):
            run(test, lambda _: got)


def test_views_and_other_readings() -> None:
    run(held_out("def f(x):\n    return [1, 2]\n", (0,), view=AS_SET), lambda _: (2, 1))
    run(held_out("def f(x):\n    return 'yes' if x else None\n", (0,), (1,), view=AS_TRUTH), bool)
    digits = "def f(a, b):\n    return sum(abs(int(c) - int(d)) for c, d in zip(str(a), str(b)))\n"
    filled = held_out(digits, (123, 9), task_id="Mbpp/558")
    run(filled, lambda a, b: 8)  # 1 and 9, as the canonical solution has it
    run(filled, lambda a, b: 1 + 2 + 6)  # 123 and 009
    with pytest.raises(AssertionError):
        run(filled, lambda a, b: 0)
    pyramid = held_out("def f(b, s):\n    return 2 * b * s + b * b\n", (10, 20), task_id="Mbpp/581")
    run(pyramid, lambda b, s: 500)
    run(pyramid, lambda b, s: round(b * b + 2 * b * math.hypot(b / 2, s)))
    with pytest.raises(AssertionError):
        run(pyramid, lambda b, s: 501)
    assert held_out_test("Mbpp/164", "f", "def f(a): return a", [(1,)], view=PLAIN, atol=0) is None
    assert held_out_test("Mbpp/1", "f", "def f(a): return a", [], view=PLAIN, atol=0) is None


@given(st.lists(st.tuples(st.integers(), st.text(max_size=3)), min_size=1, max_size=6))
def test_the_canonical_solution_passes_its_own_held_out_test(inputs: list[tuple[int, str]]) -> None:
    source = "def f(n, text):\n    return [(n % 7, text * 2, n / 3)]\n"
    scope: dict[str, Any] = {}
    exec(source, scope)
    run(held_out(source, *inputs), scope["f"])


# --- rows and files ---------------------------------------------------------------------------------------------


def test_a_row_as_a_problem() -> None:
    problem = to_problem(mbpp_plus_row(plus_row()), "mbpp_plus")
    assert (problem.task_id, problem.entry_point, problem.split) == ("Mbpp/12", "add", "all")
    assert problem.prompt == plus_row().values["prompt"]
    run(problem.test, lambda values, more: sum(values) + more)
    assert problem.held_out is not None
    run(problem.held_out, lambda values, more: more + sum(values))
    with pytest.raises(AssertionError):
        run(problem.held_out, lambda values, more: 6 if values else 3)
    assert to_problem(mbpp_plus_row(plus_row(plus_input={})), "mbpp_plus").held_out is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"assertion": None}, "column 'assertion'"),
        ({"assertion": "assert (" }, "column 'assertion': is not Python"),
        ({"assertion": "assert other(1) == 2"}, "no assert calls 'add'"),
        ({"canonical_solution": "def add(:"}, "column 'canonical_solution': is not Python"),
        ({"plus_input": [1]}, "column 'plus_input'"),
        ({"atol": -1}, "column 'atol'"),
        ({"atol": True}, "column 'atol'"),
        ({"task_id": "12"}, "is not like Mbpp/2"),
    ],
)  # fmt: skip
def test_bad_row_names_the_column(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        mbpp_plus_row(plus_row(**changes))
    assert caught.value.where == "MbppPlus.jsonl:1"


def _write(path: Path, *rows: RawRow) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row.values) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_the_file_is_found(tmp_path: Path) -> None:
    cache = tmp_path / "evalplus"
    for name in ("MbppPlus-v0.2.0", "MbppPlus-v0.10.0", "MbppPlus-NoExtreme-v9.0.0", "HumanEvalPlus-Mini-v0.1.10"):
        _write(cache / f"{name}.jsonl", plus_row())
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    assert find_file(MBPP_PLUS, environment).name == "MbppPlus-v0.10.0.jsonl"
    with pytest.raises(UserError, match=r"HumanEvalPlus\.jsonl is not on this machine"):
        find_file(HUMAN_EVAL_PLUS, environment)
    named = _write(tmp_path / "own" / "MbppPlus.jsonl.gz", plus_row())
    for place in (named, named.parent):
        assert find_file(MBPP_PLUS, {**environment, MBPP_PLUS.environment: str(place)}) == named
    with pytest.raises(UserError, match="names neither a file nor a folder"):
        find_file(MBPP_PLUS, {**environment, MBPP_PLUS.environment: str(tmp_path / "absent")})


def test_splits_are_those_of_mbpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [plus_row(task_id=f"Mbpp/{number}") for number in (2, 11, 510, 511, 600, 601, 809)]
    monkeypatch.setenv(MBPP_PLUS.environment, str(_write(tmp_path / "MbppPlus.jsonl", *rows)))
    found = {
        split: [int(problem.task_id.removeprefix("Mbpp/")) for problem in load_problems("mbpp_plus", [split])]
        for split in ("train", "validation", "test", "all")
    }
    assert found == {
        "train": [2, 601, 809], "validation": [511, 600], "test": [11, 510], "all": [2, 11, 510, 511, 600, 601, 809],
    }  # fmt: skip


def test_human_eval_plus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the form that EvalPlus gives them, made of HumanEval's own."""
    original = next(row for row in human_eval_rows() if row.values["entry_point"] == "truncate_number")
    values = {key: original.values[key] for key in ("task_id", "prompt", "entry_point", "canonical_solution")}
    rows = [RawRow({**values, "plus_input": [[7.25], [0.5]], "atol": 1e-6, "contract": ""}, "test", "")]
    monkeypatch.setenv(HUMAN_EVAL_PLUS.environment, str(_write(tmp_path / "plus.jsonl", *rows)))
    [problem] = load_problems("human_eval_plus", ["test"])
    assert problem.test == original.values["test"]
    assert problem.held_out is not None
    run(problem.held_out, lambda number: number - int(number))
    with pytest.raises(AssertionError, match="input 1"):
        run(problem.held_out, lambda number: 0.25)
    rows = [RawRow({**rows[0].values, "task_id": "HumanEval/999"}, "test", "")]
    _write(tmp_path / "plus.jsonl", *rows)
    with pytest.raises(DataError, match="column 'test': missing"):
        load_problems("human_eval_plus", ["test"])


def test_any_row_may_bring_a_held_out_test(tmp_path: Path) -> None:
    check = "def check(candidate):\n    assert candidate(1) == 1\n"
    values = {"task_id": "a", "prompt": "def f(x):\n", "test": check, "entry_point": "f", "held_out": check}
    assert to_problem(RawRow(values, "test", "here"), "x").held_out == check
    assert to_problem(RawRow({**values, "held_out": None}, "test", "here"), "x").held_out is None
    with pytest.raises(DataError, match=r"column 'held_out': does not define check"):
        to_problem(RawRow({**values, "held_out": "x = 1"}, "test", "here"), "x")


@NEEDS_DATA
def test_all_of_mbpp_plus_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MBPP_PLUS.environment, str(DATA))
    problems = load_problems("mbpp_plus", ["all"])
    assert len(problems) == 378
    assert [problem.task_id for problem in problems if problem.held_out is None] == ["Mbpp/793"]  # it has no inputs
    counts = {split: len(load_problems("mbpp_plus", [split])) for split in ("train", "validation", "test")}
    assert counts == {"train": 115, "validation": 39, "test": 224}
    for problem in problems[::20]:
        assert ast.parse(problem.held_out or "")


def test_timing_inputs_choose_the_test_that_is_timed_and_leave_old_folders_valid() -> None:
    with_both = to_problem(mbpp_plus_row(plus_row()), "mbpp_plus")
    without = to_problem(mbpp_plus_row(plus_row(plus_input=[])), "mbpp_plus")
    assert timed_problem(with_both, TimingInputs.OWN) is with_both
    assert timed_problem(with_both, TimingInputs.PLUS).test == with_both.held_out
    assert timed_problem(without, TimingInputs.PLUS) is without
    assert "timing_inputs" not in AnnotationSettings().recorded()  # as it was before there was a choice
    plus = AnnotationSettings(timing_inputs=TimingInputs.PLUS)
    assert TypeAdapter(AnnotationSettings).validate_json(json.dumps(plus.recorded())) == plus
