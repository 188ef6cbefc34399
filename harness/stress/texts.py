"""Longer texts of the same kind: brackets stay balanced, palindromes palindromes, digits digits, words words. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from harness.stress.elements import word

PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
SEPARATORS = re.compile(r"([\s,;:/.|_-]+)")
FRESH_WORDS = 0.5  # share of words that were not seen


def grow_text(value: str, length: int, seen: Sequence[str], rng: random.Random, *, tile: bool) -> str:
    """`value` grown to about `length` characters; seen: all texts at its place. tile: repeat it instead of drawing."""
    if not value or length <= len(value):
        return value
    if is_balanced(value):
        return value * (length // len(value)) if tile else brackets(value, length, rng)
    if len(set(value)) > 1 and len(value) > 2 and value == value[::-1]:
        half = grow_text(value[: (len(value) + 1) // 2], (length + 1) // 2, seen, rng, tile=tile)
        return half + half[::-1][length % 2 :]
    if SEPARATORS.search(value.strip()):
        return grow_words(value, length, seen, rng, tile=tile)
    letters = sorted(value) if len(set(value)) > 1 and len(value) > 2 and list(value) == sorted(value) else None
    if tile or letters:
        text = (value * (length // len(value) + 1))[:length]
        return "".join(sorted(text)) if letters else text
    return _of_letters(value, length, seen, rng)


def _of_letters(value: str, length: int, seen: Sequence[str], rng: random.Random) -> str:
    text = value + "".join(rng.choice(value) for _ in range(length - len(value)))
    if value.isdigit() and not any(one.startswith("0") for one in seen):
        return text
    shuffled = list(text[1:]) if value[0] in "+-" else list(text)
    rng.shuffle(shuffled)
    return text[: len(text) - len(shuffled)] + "".join(shuffled)


def grow_words(value: str, length: int, seen: Sequence[str], rng: random.Random, *, tile: bool) -> str:
    """Words and separators like those of the value, until it is long enough."""
    parts = SEPARATORS.split(value)
    words, separators = [part for part in parts[::2] if part], parts[1::2]
    if not words:
        return (value * (length // len(value) + 1))[:length]
    pool = [one for text in seen for one in SEPARATORS.split(text)[::2] if one] or words
    text, number = [value], 0
    size = len(value)
    while size < length:
        separator = separators[number % len(separators)]
        chosen = words[number % len(words)] if tile else rng.choice(pool)
        if not tile and rng.random() < FRESH_WORDS:
            chosen = word(chosen, pool, rng, 1.0)
        text += [separator, chosen]
        size += len(separator) + len(chosen)
        number += 1
    return "".join(text)


def is_balanced(text: str) -> bool:
    """Whether a text is brackets (and spaces) only, each one closed in its turn."""
    open_ones: list[str] = []
    for char in text:
        if char in PAIRS:
            open_ones.append(PAIRS[char])
        elif char in PAIRS.values():
            if not open_ones or open_ones.pop() != char:
                return False
        elif char != " ":
            return False
    return not open_ones and any(char in PAIRS for char in text)


def brackets(value: str, length: int, rng: random.Random) -> str:
    """Random balanced brackets of the kinds in `value`, no deeper than it many times over."""
    kinds = [char for char in PAIRS if char in value]
    spaced = " " in value
    text: list[str] = []
    open_ones: list[str] = []
    while len(text) + len(open_ones) < length:
        if open_ones and rng.random() < 0.5:
            text.append(open_ones.pop())
            if spaced and not open_ones:
                text.append(" ")
        else:
            kind = rng.choice(kinds)
            text.append(kind)
            open_ones.append(PAIRS[kind])
    return "".join(text + open_ones[::-1]).strip()
