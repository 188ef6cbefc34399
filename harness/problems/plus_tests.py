"""Tests made of EvalPlus' rows: the task's own asserts, and the held-out one over the inputs that EvalPlus added. Pure.

A held-out test holds the canonical solution and asks it for each expected value. That is safe because a test never runs
in the process of the solution it judges (docs/adr/0001), and it needs no trust in values worked out somewhere else. The
solution sees the arguments of one call at a time, and both get arguments of their own, since either may change them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

from harness.problems.mbpp import rename
from harness.problems.plus_inputs import calls, literal

FLOAT_ATOL = 1e-6  # as EvalPlus compares floats where the row gives no tolerance
RTOL = 1e-7

# How a result is looked at before it is compared, as a format of it. The row's asserts say which.
PLAIN, AS_SET, AS_TRUTH = "{}", "set({})", "bool({})"

# Their answers come out of a set in whatever order, though the asserts compare lists (EvalPlus compares them as sets).
ORDER_FREE = frozenset({"Mbpp/249", "Mbpp/579", "Mbpp/769"})

# Tasks whose text can be read in two ways, by what else than the canonical value is right for `args`. EvalPlus, too,
# takes both readings: another reading is not hard-coding. None: nothing can be held against any answer.
OTHER_READINGS: dict[str, str | None] = {
    "Mbpp/164": None,  # whether the sums of divisors are equivalent: with or without the number itself
    "Mbpp/295": "got == 0",
    # The shorter number may be filled up with zeros on the left.
    "Mbpp/558": "got == sum(abs(int(a) - int(b)) for a, b in zip(*(str(n).zfill(len(str(max(args)))) for n in args)))",
    # The height may be the pyramid's own and not the slanted one.
    "Mbpp/581": "got == round(args[0] * (args[0] + (args[0] ** 2 + 4 * args[1] ** 2) ** 0.5))",
    # Any zero of the polynomial will do; the prompt's `poly` is the judge's own.
    "HumanEval/32": "abs(poly(args[0], got)) <= ATOL",
}

HELD_OUT = """\
ATOL, RTOL = {atol!r}, {rtol!r}
CANONICAL = {{}}
exec({canonical!r}, CANONICAL)


def inputs():
    return [
{inputs}
    ]


def same(got, expected):
    if got == expected or (got != got and expected != expected):
        return True
    if isinstance(expected, (list, tuple)):
        return type(got) is type(expected) and len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(expected, dict):
        return type(got) is dict and got.keys() == expected.keys() and all(same(got[k], expected[k]) for k in expected)
    if type(expected) not in (int, float, complex) or type(got) not in (int, float, complex):
        return False
    atol = ATOL or ({float_atol!r} if type(expected) is not int else 0)
    try:
        return atol > 0 and abs(got - expected) <= atol + RTOL * abs(expected) < float("inf")
    except OverflowError:
        return False


def check(candidate):
    for number, (args, own) in enumerate(zip(inputs(), inputs())):
        expected = CANONICAL[{name!r}](*own)
        got = candidate(*args)
        assert {condition}, "input %d of those that the solution was not shown" % number
"""


def view_of(task_id: str, asserts: str, function: str) -> str:
    """How the task's asserts look at a result: PLAIN, AS_SET or AS_TRUTH."""
    if task_id in ORDER_FREE:
        return AS_SET
    views = {_view(node.test, function) for node in ast.parse(asserts).body if isinstance(node, ast.Assert)}
    return next((view for view in (AS_SET, AS_TRUTH) if view in views), PLAIN)


def _view(test: ast.expr, function: str) -> str:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test = test.operand
    if _is_call(test, function):
        return AS_TRUTH
    if isinstance(test, ast.Compare) and isinstance(test.left, ast.Call) and _is_call(test.left, "set"):
        return AS_SET if test.left.args and _is_call(test.left.args[0], function) else PLAIN
    return PLAIN


def _is_call(node: ast.expr, function: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function


def own_test(asserts: str, shown: str, function: str) -> str:
    """`check(candidate)` of the row's asserts. Where the assert that the prompt shows compares as a set and these do
    not, they are made to: a model does what it is shown.

    Raises ValueError if nothing in them calls the function.
    """
    tree = ast.parse(asserts)
    if not any(True for _ in calls(tree, function)):
        raise ValueError(f"no assert calls {function!r}")
    as_set = view_of("", shown, function) == AS_SET
    lines = [*(f"import {module}" for module in _missing_modules(tree)), "def check(candidate):"]
    for node in tree.body:
        text = ast.get_source_segment(asserts, node) or ast.unparse(node)
        if as_set and isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
            left, right = node.test.left, node.test.comparators[0]
            if _is_call(left, function):
                text = f"assert set({ast.unparse(left)}) == set({ast.unparse(right)})"
        lines.append(f"    {rename(text, function, 'candidate')}")
    return "\n".join(lines) + "\n"


def _missing_modules(tree: ast.Module) -> list[str]:
    """Modules of the standard library that the asserts use and do not import (Mbpp/120)."""
    imported = {name.asname or name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
    used = {
        node.value.id for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return sorted((used & sys.stdlib_module_names) - imported)


def held_out_test(
    task_id: str, function: str, canonical: str, inputs: Sequence[tuple[Any, ...]], *, view: str, atol: float
) -> str | None:
    """`check(candidate)` that compares with the canonical solution on `inputs`; None where that would say nothing.

    atol: how far numbers may be apart; 0 means exactly equal, but for FLOAT_ATOL where a float is expected.
    """
    other = OTHER_READINGS.get(task_id, "")
    if not inputs or other is None:
        return None
    condition = f"same({view.format('got')}, {view.format('expected')})"
    return HELD_OUT.format(
        atol=atol,
        rtol=RTOL,
        float_atol=FLOAT_ATOL,
        canonical=canonical,
        inputs="\n".join(f"        {literal(arguments)}," for arguments in inputs),
        name=function,
        condition=f"({condition} or {other})" if other else condition,
    )
