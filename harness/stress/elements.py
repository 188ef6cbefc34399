"""More elements like those that were seen: same types, signs, steps, alphabet and inner shape. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

MOST_TRIES = 4  # times as many elements as wanted are drawn when they are to be distinct


def draw(
    pool: Sequence[Any], count: int, rng: random.Random, *, spread: float = 1.0, distinct: bool = False
) -> list[Any]:
    """`count` values like those of `pool` (fewer only where distinct ones run out; none for an empty pool).

    Numbers lie in the range seen, widened `spread` times away from zero, on the grid seen (all even stays even). Words
    are made of the letters seen, inner containers keep a length seen and are sorted where all are.
    """
    if not pool:
        return []
    kinds = _by_type(pool)
    if not distinct:
        return [_one_like(rng.choice(pool), kinds, rng, spread, fresh=False) for _ in range(count)]
    kept: dict[str, Any] = {}
    for _ in range(MOST_TRIES * count):
        if len(kept) == count:
            break
        value = _one_like(rng.choice(pool), kinds, rng, spread, fresh=True)
        kept.setdefault(repr(value), value)
    return list(kept.values())


def order_of(values: Sequence[Any]) -> int:
    """1: ascending, -1: descending, 0: neither, or fewer than two different values, or not comparable."""
    try:
        pairs = list(pairwise(values))
        up, down = all(a <= b for a, b in pairs), all(a >= b for a, b in pairs)
    except TypeError:
        return 0
    return up - down


def ordered(values: list[Any], order: int) -> list[Any]:
    """Sorted by `order`, as it is for 0 or where the values can't be compared."""
    try:
        return sorted(values, reverse=order < 0) if order else values
    except TypeError:
        return values


def all_distinct(values: Sequence[Any]) -> bool:
    return len(set(map(repr, values))) == len(values)


def _by_type(pool: Sequence[Any]) -> dict[type, list[Any]]:
    kinds: dict[type, list[Any]] = {}
    for value in pool:
        kinds.setdefault(type(value), []).append(value)
    return kinds


def _one_like(template: Any, kinds: dict[type, list[Any]], rng: random.Random, spread: float, *, fresh: bool) -> Any:
    """fresh: words are new ones, not some that were seen."""
    alike = kinds[type(template)]
    made = template  # flags, None and whatever else there is stay what they are
    match template:
        case bool():
            pass
        case int():
            made = _int(alike, rng, spread)
        case float():
            made = _float(alike, rng, spread)
        case str() if fresh:
            made = word(template, alike, rng, spread)
        case tuple() | list():
            made = _inner(template, alike, rng, spread)
        case set() | frozenset():
            leaves = sorted((leaf for one in alike for leaf in one), key=repr)
            made = type(template)(draw(leaves, len(template), rng, spread=max(spread, 2.0), distinct=True))
        case dict():
            keys = draw([key for one in alike for key in one], len(template), rng, spread=spread, distinct=True)
            made = dict(zip(keys, draw([part for one in alike for part in one.values()], len(keys), rng), strict=True))
    return made


def _int(seen: Sequence[int], rng: random.Random, spread: float) -> int:
    low, high = min(seen), max(seen)
    step = math.gcd(*(value - low for value in seen)) or 1
    if low == high and spread <= 1:
        return low
    above = max(math.ceil((max(high, 0) - low if low > 0 else max(high, 0)) * spread), 0)
    start = low if low >= 0 else -math.ceil(-low * spread)
    stop = (low if low > 0 else 0) + above if high > 0 else high
    start = low - (low - start) // step * step  # on the grid
    return start + step * rng.randint(0, max(stop - start, 0) // step)


def _float(seen: Sequence[float], rng: random.Random, spread: float) -> float:
    finite = [value for value in seen if math.isfinite(value)]
    if not finite:
        return rng.choice(list(seen))
    low, high = min(finite), max(finite)
    places = max(len(repr(value).partition(".")[2]) if "e" not in repr(value) else 6 for value in finite)
    start = low if low >= 0 else low * spread
    return round(rng.uniform(start, max(high, high * spread)), places)


def word(template: str, alike: Sequence[str], rng: random.Random, spread: float) -> str:
    """A word of the template's length (a letter longer for each tenfold spread) and kind, of the letters seen."""
    letters = "".join(alike)
    length = len(template) + (int(math.log10(spread)) if spread > 1 and template else 0)
    if all(one.isdigit() for one in alike):
        text = "".join(rng.choice(letters) for _ in range(length))
        zero = any(one.startswith("0") for one in alike)
        return text if zero or not text.startswith("0") else rng.choice(letters.strip("0") or letters) + text[1:]
    classes = {test: [c for c in letters if test(c)] for test in (str.isupper, str.islower, str.isdigit)}
    places = [template[number % len(template)] for number in range(length)]
    return "".join(rng.choice(next((seen for test, seen in classes.items() if test(c)), [c])) for c in places)


def _inner(template: Any, alike: Sequence[Any], rng: random.Random, spread: float) -> Any:
    """A container of the template's length; columns are kept apart where all have one length (records, rows)."""
    lengths = {len(one) for one in alike}
    columns = isinstance(template, tuple) and len(lengths) == 1
    pool = [leaf for one in alike for leaf in one]
    distinct = not columns and all(map(all_distinct, alike)) and max(lengths) > 1
    parts: list[Any] = []
    if columns:
        for place in range(len(template)):
            parts += draw([one[place] for one in alike], 1, rng, spread=spread)
    else:
        parts = draw(pool, len(template), rng, spread=max(spread, 2.0 if distinct else 1.0), distinct=distinct)
        parts += draw(pool, len(template) - len(parts), rng, spread=spread)
        orders = {order_of(one) for one in alike if len(one) > 1}
        parts = ordered(parts, orders.pop() if len(orders) == 1 else 0)
    return type(template)(parts)
