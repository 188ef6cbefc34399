"""The calls that a test makes, read from its source. Pure: nothing is run.

Only calls whose arguments are literals count; a call that the test computes (a loop, a random list) is passed over.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Call = tuple[Any, ...]

# What a test may wrap a result in before it compares, so that solutions may return one or the other.
WRAPPERS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "dict", "str", "len", "sum", "bool"})


@dataclass(frozen=True, slots=True)
class Recorded:
    """calls: distinct argument tuples, all of one length, in the test's order. wrapper: the built-in function that the
    test puts every result through, or ""."""

    calls: tuple[Call, ...]
    wrapper: str = ""


def recorded_calls(test: str) -> Recorded:
    """The literal calls of a test's `check(candidate)`; of calls of several lengths the most frequent one's.

    No calls: the test has none that can be read, or does not parse.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in somebody else's data
            tree = ast.parse(test)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Recorded(())
    checks = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if not checks or not (names := [*checks[-1].args.posonlyargs, *checks[-1].args.args]):
        return Recorded(())
    found = list(_calls(checks[-1], names[0].arg, ""))
    if not found:
        return Recorded(())
    arity = Counter(len(call) for call, _ in found).most_common(1)[0][0]
    kept = {repr(call): (call, wrapper) for call, wrapper in found if len(call) == arity}
    wrappers = {wrapper for _, wrapper in kept.values()}
    return Recorded(tuple(call for call, _ in kept.values()), wrappers.pop() if len(wrappers) == 1 else "")


def _calls(node: ast.AST, candidate: str, wrapper: str) -> Iterator[tuple[Call, str]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == candidate and not node.keywords:
            call = _literals(node.args)
            if call is not None:
                yield call, wrapper
                return
        wrapper = node.func.id if node.func.id in WRAPPERS and len(node.args) == 1 and not node.keywords else ""
    else:
        wrapper = ""
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, candidate, wrapper)


def _literals(nodes: list[ast.expr]) -> Call | None:
    try:
        call = tuple(ast.literal_eval(node) for node in nodes)
        # It travels as text: 1e999 would not come back.
        return call if ast.literal_eval(repr(call)) == call else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
