"""Which names of a test are the solution's: the quick look may only say "none" where the exact one says so too."""

from __future__ import annotations

import ast
import builtins
import symtable

import pytest

from sandbox.guest import judge

CHECK = "def check(candidate):\n    assert candidate(1) == {}\n"


def exact(source: str) -> tuple[list[str], list[str]]:
    known = {*dir(builtins), *judge.Test("pass", "", "f")._namespace(), "f", "__name__"}
    free = judge._free_names(symtable.symtable(source, "<test>", "exec")) - known
    others = judge._used_otherwise(ast.parse(source))
    return sorted(free - others), sorted(free & others)


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        (CHECK.format("len([1, 2])"), ([], [])),
        (CHECK.format("helper(2)"), (["helper"], [])),
        (CHECK.format("LIMIT"), ([], ["LIMIT"])),
        (CHECK.format("(lambda x: helper(x))(2)"), (["helper"], [])),
        (CHECK.format("[helper(x) for x in range(2)]"), (["helper"], [])),
        ("def helper(x):\n    return x\n" + CHECK.format("helper(2)"), ([], [])),
        ("class Box:\n    size = 1\n" + CHECK.format("Box.size"), ([], [])),
        ("class Box:\n    def get(self):\n        return helper(1)\n" + CHECK.format("Box().get()"), (["helper"], [])),
        # Defined, but in another scope: the name that is read is still the solution's.
        ("class Box:\n    def helper(self):\n        return 1\n" + CHECK.format("helper(2)"), (["helper"], [])),
        ("METADATA = {}\n" + CHECK.format("1"), ([], [])),
        ("import math\n" + CHECK.format("math.pi"), ([], [])),
        ("def check(candidate):\n    global got\n    got = candidate(1)\n    assert got == other\n", ([], ["other"])),
        ("check = make_check(f)\n", (["make_check"], [])),
    ],
)
def test_names_of_the_solution(source: str, needs: tuple[list[str], list[str]]) -> None:
    test = judge.Test(source, "", "f")
    assert (test._functions, test._values) == needs == exact(source)
    if needs != ([], []):
        assert judge._may_need_others(test._code, "f")


def test_the_quick_look_spares_a_plain_test_the_exact_one() -> None:
    assert not judge._may_need_others(compile(CHECK.format("sorted({1, 2})"), "<test>", "exec"), "f")


def test_a_helper_of_the_prompt_is_not_the_solutions() -> None:
    prompt = "def helper(x):\n    return x\n\ndef f(x):\n"
    test = judge.Test(CHECK.format("helper(2)"), prompt, "f")
    assert (test._functions, test._values) == ([], [])
