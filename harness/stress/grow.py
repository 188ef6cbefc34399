"""Larger calls of the kind that was recorded: same types and structure, of a wanted size, by a seed. Pure.

A problem grows along one axis. LENGTH: texts and containers become longer, numbers stay in the range seen or follow the
containers (harness.stress.relations). VALUE, where nothing can become longer: the numbers themselves grow.

Nobody knows what a function is meant for, so the draws of one size differ in style: repeat what was seen or draw anew,
in the range seen or in a wider one, all arguments or only the largest. What a style does wrong is dropped by whoever
asks the solutions (harness.stress.agreement).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.stress.elements import all_distinct, draw, order_of, ordered
from harness.stress.numbers import MOST_VALUE, grow_number
from harness.stress.recorded import Call
from harness.stress.relations import Kind, Relation, find_relations, keep
from harness.stress.texts import grow_text


class Axis(StrEnum):
    LENGTH = "length"
    VALUE = "value"
    NONE = "none"  # flags and the like: nothing to grow


@dataclass(frozen=True, slots=True)
class Style:
    """tile: repeat the recorded value instead of drawing elements. wide: numbers from a range that grows along. own:
    elements like those of this call, else like those of all. every: all arguments grow, else only the largest. scaled:
    numbers that point into a container move along."""

    tile: bool
    wide: bool
    own: bool
    every: bool
    scaled: bool

    @classmethod
    def of(cls, number: int, rng: random.Random) -> Style:
        """Style of draw `number`: each mixture of the first three once in eight draws, the others by chance."""
        chance = rng.random(), rng.random()
        return cls(not number & 4, not number & 1, not number & 2, every=chance[0] < 0.7, scaled=chance[1] < 0.5)


class Grower:
    """Grows the calls of one problem. Raises ValueError for no calls or calls of several lengths."""

    def __init__(self, calls: Sequence[Call], seed: str) -> None:
        if not calls or len(set(map(len, calls))) != 1:
            raise ValueError("calls of one length wanted, at least one")
        self._calls, self._seed = tuple(calls), seed
        self._columns = [tuple(call[place] for call in calls) for place in range(len(calls[0]))]
        self._growable = frozenset(i for i, column in enumerate(self._columns) if _can_grow(column))
        self.axis = self._find_axis()
        self.relations: tuple[Relation, ...] = find_relations(calls)
        self._usable = [call for call in calls if self.size(call) >= (2 if self.axis is Axis.VALUE else 1)]
        if not self._usable:
            self.axis = Axis.NONE

    def _find_axis(self) -> Axis:
        if self._growable:
            return Axis.LENGTH
        numbers = [leaf for column in self._columns for value in column for leaf in _numbers(value)]
        return Axis.VALUE if any(abs(one) > 1 for one in numbers) else Axis.NONE

    def size(self, call: Call) -> int:
        """Along the axis: elements of the largest argument (characters of a text), or the largest magnitude."""
        if self.axis is Axis.LENGTH:
            return max(_atoms(call[place]) for place in self._growable)
        return max((int(abs(one)) for value in call for one in _numbers(value)), default=0)

    @property
    def base_size(self) -> int:
        """The median size of the recorded calls that can grow; 0 where nothing grows."""
        sizes = sorted(map(self.size, self._usable))
        return sizes[len(sizes) // 2] if sizes else 0

    def grow(self, size: int, number: int) -> Call | None:
        """Draw `number` (from 0) of this size, or None where the style cannot keep what always held."""
        if self.axis is Axis.NONE:
            return None
        rng = random.Random(f"{self._seed}:{size}:{number}")  # noqa: S311
        base, style = rng.choice(self._usable), Style.of(number, rng)
        if self.axis is Axis.VALUE:
            grown = self._scaled(base, size, style, rng)
        else:
            grown = self._lengthened(base, size, style, rng)
        return keep(self.relations, grown, base, scaled=style.scaled)

    # ---- length ----------------------------------------------------------------------------------------------------

    def _lengthened(self, base: Call, size: int, style: Style, rng: random.Random) -> Call:
        factor = max(size / self.size(base), 1.0)
        largest = max(self._growable, key=lambda place: _atoms(base[place]))
        chosen = self._growable if style.every or self._equal_lengths() else {largest}
        grown = [
            _lengthen(value, factor, self._columns[place], style, rng) if place in chosen else value
            for place, value in enumerate(base)
        ]
        for one in self.relations:
            elements = grown[one.other] if isinstance(grown[one.other], list | tuple) else ()
            if one.kind is Kind.MEMBER and one.place not in self._growable and style.scaled:
                # What is sought may be any of the new elements.
                alike = [value for value in elements if type(value) is type(base[one.place])]
                grown[one.place] = rng.choice(alike) if alike else base[one.place]
        return tuple(grown)

    def _equal_lengths(self) -> bool:
        lengths = [{len(call[place]) for place in self._growable} for call in self._calls]
        return len(self._growable) > 1 and len(self._calls) > 1 and all(len(one) == 1 for one in lengths)

    # ---- value -----------------------------------------------------------------------------------------------------

    def _scaled(self, base: Call, size: int, style: Style, rng: random.Random) -> Call:
        """All numbers by one factor, so that their order stays."""
        factor = size / self.size(base)
        largest = max(range(len(base)), key=lambda place: max(map(abs, _numbers(base[place])), default=0))
        grown = []
        for place, value in enumerate(base):
            flag = len(self._columns) > 1 and all(abs(n) <= 1 for one in self._columns[place] for n in _numbers(one))
            if flag or not (style.every or place == largest):
                grown.append(value)
            else:
                seen = [n for one in self._columns[place] for n in _numbers(one) if isinstance(n, int)]
                # The same for all, so it is rarely worth a draw: any number of draws gives it.
                grown.append(_scale(value, factor, seen, rng, exact=style.tile and style.scaled))
        return tuple(grown)


def _can_grow(column: Sequence[Any]) -> bool:
    """Whether an argument may become longer: texts of a character each stay single, tuples of one length records."""
    lengths = {len(value) for value in column if isinstance(value, list | tuple | str | set | frozenset | dict)}
    if not lengths or max(lengths) == 0 or not all(hasattr(value, "__len__") for value in column):
        return False
    if all(isinstance(value, str) for value in column):
        return max(lengths) > 1
    if all(isinstance(value, tuple) for value in column) and len(column) > 1:
        return len(lengths) > 1
    return True


def _atoms(value: Any) -> int:
    """Elements in all; an inner text or a dict's entry is one."""
    if isinstance(value, str | dict):
        return len(value)
    if not isinstance(value, list | tuple | set | frozenset):
        return 1
    return sum(1 if isinstance(one, str) else _atoms(one) for one in value)


def _numbers(value: Any) -> list[int | float]:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return [value]
    return [leaf for one in value for leaf in _numbers(one)] if isinstance(value, list | tuple) else []


def _scale(value: Any, factor: float, seen: Sequence[int], rng: random.Random, *, exact: bool) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_scale(one, factor, seen, rng, exact=exact) for one in value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return value
    if isinstance(value, float):
        return max(min(value * factor, MOST_VALUE), -MOST_VALUE)
    return grow_number(value, factor, seen, rng, exact=exact)


def _lengthen(value: Any, factor: float, column: Sequence[Any], style: Style, rng: random.Random) -> Any:
    """One argument, `factor` times as long; column: all recorded values at its place."""
    length = round(len(value) * factor)
    alike = [value] if style.own else [one for one in column if isinstance(one, type(value))]
    match value:
        case str():
            return grow_text(value, length, alike, rng, tile=style.tile)
        case list() | tuple():
            return type(value)(_grow_sequence(list(value), factor, [list(one) for one in alike], style, rng))
        case set() | frozenset():
            pool = sorted((leaf for one in alike for leaf in one), key=repr)
            more = draw(pool, length, rng, spread=2 * factor, distinct=True)
            return type(value)([*sorted(value, key=repr), *more][: max(length, len(value))])
        case dict():
            keys = draw([key for one in alike for key in one], length, rng, spread=2 * factor, distinct=True)
            keys = list(dict.fromkeys([*value, *keys]))[: max(length, len(value))]
            pool = [part for one in alike for part in one.values()]
            fresh = draw(pool, len(keys), rng, spread=_spread(style, factor))
            return {key: value.get(key, new) for key, new in zip(keys, fresh, strict=True)}
    return value


def _spread(style: Style, factor: float) -> float:
    return factor if style.wide else 1.0


def _grow_sequence(
    value: list[Any], factor: float, seen: Sequence[list[Any]], style: Style, rng: random.Random
) -> list[Any]:
    if not value:
        return value
    if all(_is_square(one) for one in seen if one) and len(value) > 1:
        factor = math.sqrt(factor)
        side = round(len(value) * factor)
        seen = [[_resized(row, side, seen, style, rng) for row in one] for one in (value, *seen) if one]
        value = seen[0]
    length = max(round(len(value) * factor), len(value))
    if all(map(_is_permutation, seen)):
        return _permutation(value, length, rng)
    # A list without duplicates may be the hard case of a search for them, so it stays one in half of the styles.
    always = all(map(all_distinct, seen)) and max(map(len, seen)) > 1
    distinct = always or (style.wide and len(value) > 1 and all_distinct(value))
    order = order_of(value)
    if style.tile and not distinct:
        return ordered((value * (length // len(value) + 1))[:length], order)
    pool = [leaf for one in seen for leaf in one]
    # Distinct ones need room, whatever the style: three times as many as there are to be.
    spread = max(_spread(style, factor), 3 * factor if distinct else 1.0)
    more = draw(pool, length - len(value) if not distinct else length, rng, spread=spread, distinct=distinct)
    if distinct:
        known = set(map(repr, value))
        more = [one for one in more if repr(one) not in known][: length - len(value)]
    grown = [*more, *value] if rng.random() < 0.5 else [*value, *more]  # what is sought may be at the end or soon found
    return ordered(grown, order)


def _is_permutation(values: Sequence[Any]) -> bool:
    """Whether they are whole numbers that follow each other, in any order."""
    whole = len(values) > 1 and all(type(one) is int for one in values)
    return whole and sorted(values) == list(range(min(values), min(values) + len(values)))


def _permutation(value: list[int], length: int, rng: random.Random) -> list[int]:
    grown = list(range(min(value), min(value) + length))
    order = order_of(value)
    if order == 0:
        rng.shuffle(grown)
    return grown[::-1] if order < 0 else grown


def _is_square(value: Sequence[Any]) -> bool:
    return all(isinstance(row, list | tuple) and len(row) == len(value) for row in value)


def _resized(row: Any, width: int, seen: Sequence[list[Any]], style: Style, rng: random.Random) -> Any:
    pool = [leaf for one in seen for inner in one for leaf in inner]
    more = draw(pool, width - len(row), rng, spread=_spread(style, width / len(row)))
    return type(row)([*row, *more])
