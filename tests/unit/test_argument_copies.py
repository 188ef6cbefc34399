"""Copies of recorded arguments: equal to the original, and nothing of the original can be changed through them."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest import codec
from sandbox.guest.candidate import copier

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5)
HASHABLE = st.recursive(PLAIN, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(HASHABLE, max_size=4)
        | st.lists(inner, max_size=3).map(deque)
        | st.binary(max_size=4).map(bytearray)
    ),
    max_leaves=15,
)


def mutable(value: Any) -> bool:
    if isinstance(value, (list, dict, set, bytearray, deque)):
        return True
    return isinstance(value, tuple) and any(map(mutable, value))


def spoil(value: Any) -> None:
    """Change everything in it that can be changed."""
    if isinstance(value, (list, tuple, deque, dict)):
        for part in list(value.values() if isinstance(value, dict) else value):
            spoil(part)
    if isinstance(value, (list, deque)):
        value.append("spoilt")
    elif isinstance(value, dict):
        value["spoilt"] = "spoilt"
    elif isinstance(value, set):
        value.add("spoilt")
    elif isinstance(value, bytearray):
        value.extend(b"spoilt")


@given(VALUES)
def test_copies_are_equal_and_apart(value: Any) -> None:
    copy = copier(value)
    assert (copy is None) == (not mutable(value))
    if copy is None:
        return
    before = codec.encode(value)
    first, second = copy(), copy()
    assert codec.encode(first) == codec.encode(second) == before
    spoil(first)
    assert codec.encode(value) == codec.encode(second) == codec.encode(copy()) == before


@pytest.mark.parametrize("value", [[[1, 2], [3]], {"a": [1]}, ([1], 2), [{1: [2]}]])
def test_nested_containers_keep_their_types(value: Any) -> None:
    copy = copier(value)
    assert copy is not None
    assert repr(copy()) == repr(value)
