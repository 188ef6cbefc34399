"""What holds between the arguments in every recorded call, so that it can be kept true in larger ones. Pure.

A relation between a whole number and a container, or between two whole numbers, counts when it holds in all of at least
two calls. Equal lengths need no entry: all containers of a call grow by one factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.stress.recorded import Call

SIZED = (list, tuple, str, set, frozenset, dict)
LEAST_CALLS = 2


class Kind(StrEnum):
    LENGTH = "length"  # number == len(container) + offset
    WIDTH = "width"  # number == len(first row) + offset
    MEMBER = "member"  # value in container
    INDEX = "index"  # 0 <= number < len(container)
    COUNT = "count"  # 1 <= number <= len(container)
    BELOW = "below"  # number <= other number


@dataclass(frozen=True, slots=True)
class Relation:
    """Argument `place` to argument `other`. offset: of LENGTH and WIDTH, 0 or -1."""

    kind: Kind
    place: int
    other: int
    offset: int = 0


def find_relations(calls: Sequence[Call]) -> tuple[Relation, ...]:
    """The relations of the calls; of those of one number to a container the closest (its length before its range)."""
    if len(calls) < LEAST_CALLS:
        return ()
    found: list[Relation] = []
    arity = len(calls[0])
    for place in range(arity):
        for other in range(arity):
            if place != other:
                candidates = _possible(place, other)
                found += [first] if (first := next((r for r in candidates if _always(r, calls)), None)) else []
    # A number that is a length follows its container: that it was below some other number was chance.
    lengths = {one.place for one in found if one.kind in (Kind.LENGTH, Kind.WIDTH)}
    return tuple(one for one in found if one.kind is not Kind.BELOW or not lengths & {one.place, one.other})


def _possible(place: int, other: int) -> Iterator[Relation]:
    for kind in (Kind.LENGTH, Kind.WIDTH):
        for offset in (0, -1):
            yield Relation(kind, place, other, offset)
    for kind in (Kind.MEMBER, Kind.INDEX, Kind.COUNT, Kind.BELOW):
        yield Relation(kind, place, other)


def _always(relation: Relation, calls: Sequence[Call]) -> bool:
    return all(holds(relation, call) for call in calls)


def holds(relation: Relation, call: Sequence[Any]) -> bool:
    value, other = call[relation.place], call[relation.other]
    if relation.kind is Kind.MEMBER:
        return is_member(value, other)
    if not _whole(value):
        return False
    if relation.kind is Kind.BELOW:
        return _whole(other) and value <= other
    if relation.kind is Kind.WIDTH:
        return _rows(other) and value == len(other[0]) + relation.offset
    return isinstance(other, SIZED) and _fits(relation, value, len(other))


def _fits(relation: Relation, value: int, length: int) -> bool:
    if relation.kind is Kind.LENGTH:
        return value == length + relation.offset
    return 0 <= value < length if relation.kind is Kind.INDEX else 1 <= value <= length


def is_member(value: Any, container: Any) -> bool:
    """Whether it is an element, or a part of a text. Never for containers themselves, nor across types."""
    if isinstance(container, str):
        return isinstance(value, str) and len(value) > 0 and value in container
    if isinstance(value, SIZED) and not isinstance(value, str):
        return False
    return isinstance(container, SIZED) and any(type(one) is type(value) and one == value for one in container)


def keep(relations: Sequence[Relation], call: Call, base: Call, *, scaled: bool) -> Call | None:
    """The grown call with its numbers set so that the relations hold again; None where one can't be kept.

    base: the recorded call that it was grown from. scaled: numbers that count or point into a container move in
    proportion to its length, else they stay.
    """
    kept = list(call)
    for relation in sorted(relations, key=lambda one: one.kind not in (Kind.LENGTH, Kind.WIDTH)):
        other = kept[relation.other]
        match relation.kind:
            case Kind.LENGTH:
                kept[relation.place] = len(other) + relation.offset
            case Kind.WIDTH:
                kept[relation.place] = len(other[0]) + relation.offset if _rows(other) else -1
            case Kind.INDEX | Kind.COUNT if scaled and not _fixed(relations, relation.place):
                before = max(len(base[relation.other]), 1)
                last = relation.kind is Kind.INDEX
                moved = round(base[relation.place] * len(other) / before)
                kept[relation.place] = min(max(moved, 0 if last else 1), len(other) - last)
    return tuple(kept) if all(holds(relation, kept) for relation in relations) else None


def _fixed(relations: Sequence[Relation], place: int) -> bool:
    exact = (Kind.LENGTH, Kind.WIDTH, Kind.MEMBER)
    return any(one.place == place and one.kind in exact for one in relations)


def _whole(value: Any) -> bool:
    return type(value) is int


def _rows(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], list | tuple)
