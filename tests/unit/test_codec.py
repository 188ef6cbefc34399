"""The codec between judge and candidate: exact round trips, and hostile bytes that end as CodecError only."""

from __future__ import annotations

import enum
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest import calls, codec

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters()),
    st.binary(max_size=20),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 5)),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.fractions(),
    st.decimals(allow_nan=False),
)
HASHABLE = st.recursive(ATOMS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.sets(HASHABLE, max_size=3),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.builds(deque, st.lists(inner, max_size=3)),
        st.builds(OrderedDict, st.dictionaries(HASHABLE, inner, max_size=3)),
    ),
    max_leaves=12,
)


def same(left: object, right: object) -> bool:
    """Equal, and of the same types all the way down (1 == True == 1.0 is not enough)."""
    if type(left) is not type(right) or left != right:
        return False
    if isinstance(left, dict):
        return all(same(a, b) and same(left[a], right[b]) for a, b in zip(left, right, strict=True))
    if isinstance(left, (list, tuple, deque)):
        return all(same(a, b) for a, b in zip(left, right, strict=True))
    return True


@given(VALUES)
def test_round_trip_keeps_value_and_types(value):
    assert same(codec.decode(codec.encode(value)), value)


@given(VALUES)
def test_encoding_is_canonical(value):
    once = codec.encode(value)
    assert codec.encode(codec.decode(once)) == once


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data):
    try:
        codec.decode(data)
    except codec.CodecError:
        pass


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*codec._UNPACKERS, "?"]), inner, max_size=2)
    ),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_any_tagged_json_decodes_or_is_refused(value):
    try:
        codec.decode(json.dumps(value).encode())
    except codec.CodecError:
        pass


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, 2**70, -(2**70), -0.0, 7 << 12_000, "\ud800", "\x00", b"\xff", 1e22, 1e-320]
)
def test_edges_of_atoms(value):
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)
    assert math.copysign(1, back) == math.copysign(1, value) if isinstance(value, float) else True


def test_nan_comes_back_as_nan():
    assert math.isnan(codec.decode(codec.encode(math.nan)))


class LyingInt(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class LyingList(list):
    def __eq__(self, other):
        return True

    def __iter__(self):
        return iter([42])


class Colour(enum.IntEnum):
    RED = 1


def test_subclasses_arrive_as_plain_base_values():
    point = namedtuple("point", "x y")(1, 2)
    values = [LyingInt(7), LyingList([1]), Colour.RED, point, Counter("aab"), defaultdict(int, a=1)]
    back = codec.decode(codec.encode(values))
    assert [type(v) for v in back] == [int, list, int, tuple, Counter, defaultdict]
    assert back[0] != 8
    assert back[1] == [1]
    assert back[1] != [42]
    assert back[5].default_factory is None


def test_other_types_arrive_as_opaque_and_equal_nothing():
    class Anything:
        def __eq__(self, other):
            return True

        def __str__(self):
            return "text"

    back = codec.decode(codec.encode(Anything(), opaque=True))
    assert isinstance(back, codec.Opaque)
    assert back != 5
    assert (back == back) is True
    assert str(back) == "text"
    with pytest.raises(codec.CodecError):
        codec.encode(Anything())
    with pytest.raises(codec.CodecError):
        codec.encode(back)  # an opaque value goes no further


def test_iterators_are_drained_to_a_bound():
    assert list(codec.decode(codec.encode(map(str, [1, 2])))) == ["1", "2"]
    assert codec.decode(codec.encode({1: 2}.keys())) == {1}
    endless = (x for x in iter(int, 1))
    with pytest.raises(codec.CodecError):
        codec.encode(endless)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_and_size_are_capped():
    assert codec.decode(codec.encode(nested(codec.MAX_DEPTH - 1))) == nested(codec.MAX_DEPTH - 1)
    with pytest.raises(codec.CodecError):
        codec.encode(nested(codec.MAX_DEPTH + 1))
    with pytest.raises(codec.CodecError):
        codec.decode(b"[" * 100_000 + b"]" * 100_000)
    itself: list[object] = []
    itself.append(itself)
    with pytest.raises(codec.CodecError):
        codec.encode(itself)
    with pytest.raises(codec.CodecError):
        codec.encode([0] * (codec.MAX_NODES + 1))


@given(st.text("abc_", min_size=1, max_size=20), st.lists(VALUES, max_size=3))
def test_calls_round_trip(name, args):
    frame = calls.encode_call(name, tuple(args), {"key": 1})
    assert calls.decode_call(frame) == (name, args, {"key": 1})


@given(st.binary(max_size=60))
def test_any_result_frame_splits_or_is_refused(data):
    try:
        value, changed = calls.split_result(calls.RESULT + data)
    except codec.CodecError:
        return
    assert len(value) + len(changed) <= len(data)


def test_dates_decimals_and_fractions_keep_their_exact_value():
    values = [
        date(2024, 2, 29),
        datetime(2024, 1, 1, 1, 2, 3, 4),
        time(1, 2),
        timedelta(-1, 5, 7),
        Decimal("1.10"),
        Fraction(-3, 9),
    ]
    assert codec.decode(codec.encode(values)) == values
    assert str(codec.decode(codec.encode(Decimal("1.10")))) == "1.10"
