"""The starter set's shape. Its solutions are run in tests/docker/test_starter.py, in the sandbox."""

from __future__ import annotations

import ast
import doctest
import textwrap
from collections import Counter

import pytest

from harness.problems import load_problems, starter_solutions
from harness.records import Problem
from harness.timing.solution_id import solution_id

SPLITS = ("train", "validation", "test")
PROBLEMS = load_problems("starter", SPLITS)
SOLUTIONS = starter_solutions()
EACH = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.entry_point)


def test_counts() -> None:
    assert Counter(p.split for p in PROBLEMS) == {"train": 48, "validation": 16, "test": 24}
    assert [p.task_id for p in PROBLEMS] == list(SOLUTIONS)


def test_no_function_appears_twice() -> None:
    assert len({p.entry_point for p in PROBLEMS}) == len(PROBLEMS)
    assert len({p.prompt for p in PROBLEMS}) == len(PROBLEMS)
    tests = [p.test for p in PROBLEMS]
    assert len(set(tests)) == len(PROBLEMS)
    # The same body under another name would be the same problem in disguise.
    bodies = Counter(
        body
        for p in PROBLEMS
        for body in {_body(p, s.code) for s in SOLUTIONS[p.task_id]}
        if len(body.splitlines()) > 1
    )
    assert {body: n for body, n in bodies.items() if n > 1} == {}


@EACH
def test_prompt(problem: Problem) -> None:
    assert problem.task_id == f"starter/{problem.entry_point}"
    [function] = ast.parse(problem.prompt).body
    assert isinstance(function, ast.FunctionDef)
    assert function.name == problem.entry_point
    assert ast.get_docstring(function)
    assert len(function.body) == 1  # the docstring; no `pass`
    assert problem.prompt.startswith("def ")
    assert problem.prompt.endswith('"""\n')
    assert "\r" not in problem.prompt + problem.test
    assert max(map(len, (problem.prompt + problem.test).splitlines())) <= 120


@EACH
def test_test(problem: Problem) -> None:
    [check] = ast.parse(problem.test).body
    assert isinstance(check, ast.FunctionDef)
    assert 4 <= len(check.body) <= 6
    for statement in check.body:
        assert isinstance(statement, ast.Assert)
        called = [n.func.id for n in ast.walk(statement) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert called.count("candidate") == 1
        assert set(called) <= {"candidate", "range", "list", "len", "sum", "str"}


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if ">>>" in p.prompt], ids=lambda problem: problem.entry_point)
def test_the_docstring_example_is_the_first_assert(problem: Problem) -> None:
    [function] = ast.parse(problem.prompt).body
    [example] = doctest.DocTestParser().get_examples(ast.get_docstring(function) or "")  # type: ignore[arg-type]
    expected = ast.literal_eval(example.want)
    comparison = "is" if isinstance(expected, bool) else "=="
    asserted = f"assert {example.source.strip()} {comparison} {example.want.strip()}"
    [check] = ast.parse(problem.test.replace("candidate(", f"{problem.entry_point}(")).body
    assert isinstance(check, ast.FunctionDef)
    assert ast.unparse(check.body[0]) == ast.unparse(ast.parse(asserted))


@EACH
def test_solutions(problem: Problem) -> None:
    solutions = SOLUTIONS[problem.task_id]
    assert len(solutions) >= 2
    assert len({s.name for s in solutions}) == len(solutions)
    assert len({solution_id(problem.prompt + s.code, problem.entry_point) for s in solutions}) == len(solutions)
    for solution in solutions:
        assert solution.code.startswith("    ")
        assert solution.code.endswith("\n")
        [function] = ast.parse(problem.prompt + solution.code).body
        assert isinstance(function, ast.FunctionDef)
        assert len(function.body) > 1


def _body(problem: Problem, code: str) -> str:
    """A solution's code with its own function's name taken out."""
    return textwrap.dedent(code).replace(problem.entry_point, "itself")
