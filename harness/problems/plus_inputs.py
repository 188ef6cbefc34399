"""EvalPlus' inputs as the Python values they stand for: JSON knows neither tuples, sets nor complex numbers. Pure.

What an argument is made of is read off the calls in the task's own asserts: `f((3, 4), [1])` says that the first
argument is a tuple and the second a list, so that `[[5, 6], [2]]` stands for `(5, 6), [2]`. Containers are told by the
argument they are in and by how deep they lie in it. Complex numbers are written as text: where the asserts show a
number and all texts are numbers, they are read as such.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

SEQUENCES = (list, tuple, set, frozenset)

# MBPP+ has runs of near-equal inputs that cost the canonical solution 0.05 to 0.5 s of CPU time each: those whose first
# argument is above the number. One of them is kept, for the others would take a correct solution over its time limit.
DEAR_ABOVE = {
    "Mbpp/123": 9_000,
    "Mbpp/271": 400_000,
    "Mbpp/389": 28,
    "Mbpp/392": 900_000,
    "Mbpp/592": 900,
    "Mbpp/603": 9_000,
}
# Inputs that no correct solution, or no plain one, could be judged on: results of about as many elements as may cross
# from a solution to its judge, and loops of 100 million passes (a slow solution is not a hard-coded one).
TOO_LARGE: dict[str, Callable[[Sequence[Any]], bool]] = {
    "Mbpp/255": lambda arguments: arguments[1] > 75,
    "Mbpp/599": lambda arguments: arguments[0] > 10_000_000,
    "Mbpp/630": lambda arguments: len(arguments[0]) > 8,
}


@dataclass(slots=True)
class ArgumentForm:
    """What one argument was seen to be made of: kinds of containers by depth (0 is the argument itself)."""

    containers: dict[int, set[type]] = field(default_factory=dict)
    as_text: bool = False  # numbers are written as text

    def see(self, value: Any, depth: int = 0) -> None:
        if isinstance(value, dict):
            for item in value.values():
                self.see(item, depth + 1)
        elif isinstance(value, SEQUENCES):
            self.containers.setdefault(depth, set()).add(type(value))
            for item in value:
                self.see(item, depth + 1)

    def container(self, depth: int) -> type:
        """The one kind seen at this depth; a list, as JSON has it, where several were or none. What was seen within its
        like at the deepest (a tuple in a tuple) goes on below."""
        deepest = max(self.containers, default=0)
        if depth > deepest > 0 and self.containers[deepest] == self.containers.get(deepest - 1):
            depth = deepest
        seen = self.containers.get(depth, {list})
        return next(iter(seen)) if len(seen) == 1 else list

    def read(self, value: Any, depth: int = 0) -> Any:
        """A JSON value as what it stands for."""
        if isinstance(value, dict):
            return {key: self.read(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return self.container(depth)(self.read(item, depth + 1) for item in value)
        return number(value) if self.as_text and depth == 0 and isinstance(value, str) else value


def argument_forms(asserts: str, function: str, inputs: Sequence[Sequence[Any]]) -> list[ArgumentForm]:
    """The form of each positional argument of `function`, from the calls with literal arguments in `asserts`.

    inputs: all arguments to be read, as JSON has them.
    """
    forms: list[ArgumentForm] = []
    scalars: list[set[type]] = []
    for call in calls(ast.parse(asserts), function):
        for place, node in enumerate(call.args):
            if place == len(forms):
                forms.append(ArgumentForm())
                scalars.append(set())
            try:
                value = ast.literal_eval(node)
            except ValueError:
                continue  # an expression: its value would have to be computed
            forms[place].see(value)
            scalars[place].add(type(value))
    for place, (form, types) in enumerate(zip(forms, scalars, strict=True)):
        texts = [one[place] for one in inputs if place < len(one) and isinstance(one[place], str)]
        numeric = bool(types) and types <= {int, float, complex}
        form.as_text = numeric and all(number(text) is not None for text in texts)
    return forms


def calls(tree: ast.AST, function: str) -> Iterable[ast.Call]:
    """The calls of `function` by its name, in no particular order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
            yield node


def read_inputs(inputs: Iterable[Sequence[Any]], forms: Sequence[ArgumentForm]) -> list[tuple[Any, ...]]:
    """Each input's arguments; those beyond the known forms are taken as they are."""
    spare = ArgumentForm()
    return [
        tuple((forms[place] if place < len(forms) else spare).read(value) for place, value in enumerate(arguments))
        for arguments in inputs
    ]


def affordable(task_id: str, inputs: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The inputs without those that correct solutions could not be judged on in their limits, in the order given."""
    too_large, dear_above = TOO_LARGE.get(task_id), DEAR_ABOVE.get(task_id)
    kept, had_dear = [], False
    for arguments in inputs:
        if too_large is not None and too_large(arguments):
            continue
        dear = dear_above is not None and arguments[0] > dear_above
        if not (dear and had_dear):
            kept.append(arguments)
        had_dear = had_dear or dear
    return kept


def number(text: str) -> int | float | complex | None:
    """A number written as Python prints it: "3", "1e-100", "(-0-1j)"; None for any other text."""
    for kind in (int, float, complex):
        try:
            value: int | float | complex = kind(text)
        except ValueError:
            continue
        return value
    return None


def literal(value: Any) -> str:
    """Source that makes `value` anew, infinities and NaN included. Raises TypeError for what is no plain value."""
    kind = type(value)
    if kind is float and not math.isfinite(value):
        return f"float({str(value)!r})"
    if kind is complex:
        return f"complex({literal(value.real)}, {literal(value.imag)})"
    if value is None or kind in (bool, int, float, str, bytes):
        return repr(value)
    if kind is dict:
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if kind not in SEQUENCES:
        raise TypeError(f"{kind.__name__} is no plain value")
    items = ", ".join(literal(item) for item in value)
    if kind is tuple:
        return f"({items},)" if len(value) == 1 else f"({items})"
    return f"[{items}]" if kind is list else f"{kind.__name__}([{items}])"
