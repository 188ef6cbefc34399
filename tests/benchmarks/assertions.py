"""Tests made of plain asserts, read as data: what a harness that compares outputs (EvalPlus) needs. Pure."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One call: positional arguments and the value it must return, both made of literals."""

    arguments: tuple[Any, ...]
    expected: Any


def literal_cases(test: str) -> list[Case] | None:
    """The calls of a `check(candidate)` whose every statement is `assert candidate(literals) == literal`.

    None where anything else is there: a test that is read only in part would be another test.
    """
    try:
        tree = ast.parse(test)
    except (SyntaxError, ValueError):
        return None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1 or not all(_harmless(node) for node in tree.body if node not in functions):
        return None
    (check,) = functions
    names = [argument.arg for argument in check.args.args]
    if check.name != "check" or len(names) != 1:
        return None
    statements = [node for node in check.body if not _harmless(node)]
    cases = [_case(node, names[0]) for node in statements]
    found = [case for case in cases if case is not None]
    return found if found and len(found) == len(statements) else None


def _harmless(node: ast.stmt) -> bool:
    """Says nothing about the solution: a docstring, `pass`, HumanEval's METADATA."""
    if isinstance(node, ast.Pass):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["METADATA"]


def _case(node: ast.stmt, candidate: str) -> Case | None:
    if not isinstance(node, ast.Assert) or not isinstance(node.test, ast.Compare):
        return None
    call, operators = node.test.left, node.test.ops
    if len(operators) != 1 or not isinstance(operators[0], ast.Eq) or not isinstance(call, ast.Call):
        return None
    if not isinstance(call.func, ast.Name) or call.func.id != candidate or call.keywords:
        return None
    try:
        arguments = tuple(_literal(argument) for argument in call.args)
        return Case(arguments, _literal(node.test.comparators[0]))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _literal(node: ast.expr) -> Any:
    """The value of a literal. ValueError if its text does not give it again (1e999), since it travels as text."""
    value = ast.literal_eval(node)
    ast.literal_eval(repr(value))
    return value


def check_from_asserts(asserts: str, entry_point: str) -> str:
    """A `check(candidate)` from bare asserts that call the solution by its name (MBPP+'s field `assertion`).

    Imports stay before the function. Raises SyntaxError if the asserts are not Python.
    """
    tree = _Renamed(entry_point).visit(ast.parse(asserts))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in tree.body if node not in imports]
    before = "".join(ast.unparse(node) + "\n" for node in imports)
    body = "\n".join(ast.unparse(node) for node in rest) or "pass"
    return f"{before}def check(candidate):\n{textwrap.indent(body, '    ')}\n"


class _Renamed(ast.NodeTransformer):
    def __init__(self, entry_point: str) -> None:
        self.entry_point = entry_point

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name("candidate", node.ctx) if node.id == self.entry_point else node
