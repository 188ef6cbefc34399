"""Larger numbers of the same kind: primes grow into primes, squares into squares, powers of two likewise. Pure.

What makes a number hard is rarely its size alone: a search for divisors ends at once for most numbers, not for primes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

MOST_VALUE = 10**15  # floats count exactly up to about here
WITNESSES = (2, 3, 5, 7, 11, 13, 17)  # decide primality below 3.4e14 (Jaeschke 1993); above, a strong guess


def grow_number(value: int, factor: float, seen: Sequence[int], rng: random.Random, *, exact: bool) -> int:
    """`value` times `factor` or, unless `exact`, up to a sixteenth below, so that not all are multiples of what was
    recorded. seen: all numbers at its place; a prime becomes a prime, the rest where all that were seen are alike."""
    grown = round(max(min(value * factor, MOST_VALUE), -MOST_VALUE))
    if grown <= value or exact:
        return grown
    grown -= rng.randint(0, abs(grown) // 16)
    if is_prime(value):
        return next(number for number in range(grown, 1, -1) if is_prime(number))
    if all(one > 0 and math.isqrt(one) ** 2 == one for one in seen):
        return math.isqrt(grown) ** 2
    if all(one > 0 and one & (one - 1) == 0 for one in seen):
        return 1 << (grown.bit_length() - 1)
    return grown


def is_prime(number: int) -> bool:
    """Miller and Rabin's test."""
    if number < 2 or any(number % small == 0 for small in WITNESSES):
        return number in WITNESSES
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(witness, number, odd, twos) for witness in WITNESSES)


def _passes(witness: int, number: int, odd: int, twos: int) -> bool:
    power = pow(witness, odd, number)
    if power in (1, number - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
