"""The codec between judge and candidate: exact round trips, and hostile bytes that end as CodecError only."""

from __future__ import annotations

import enum
import json
import math
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from fuzzing import examples
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
    st.text("a\ud83d\ude00\U0001f600", max_size=4),  # surrogates, single and in pairs
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
        st.builds(deque, st.lists(inner, max_size=3), st.integers(3, 5)),
        st.builds(OrderedDict, st.dictionaries(HASHABLE, inner, max_size=3)),
        st.builds(Counter, st.dictionaries(HASHABLE, st.integers(), max_size=3)),
        st.binary(max_size=5).map(bytearray),
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


@examples(150)
@given(VALUES)
def test_round_trip_keeps_value_and_types(value):
    assert same(codec.decode(codec.encode(value)), value)


def reencodes(data: bytes) -> bool:
    """Whether the codec takes these bytes. If so, they are exactly what it writes for the value."""
    try:
        value = codec.decode(data)
    except codec.CodecError:
        return False
    if b'"opaque"' not in data:  # an opaque value goes no further
        assert codec.encode(value) == data
    return True


@examples(150)
@given(VALUES)
def test_a_value_has_one_encoding(value):
    assert reencodes(codec.encode(value))


@examples(100)
@given(st.lists(HASHABLE, max_size=6), st.randoms(use_true_random=False))
def test_equal_sets_have_equal_encodings(items, random):
    shuffled = random.sample(items, len(items))
    # 1 and 1.0 are equal and not the same: the first one in wins, so they are left out.
    if len(set(items)) == len({codec.encode(item) for item in items}):
        assert codec.encode(set(items)) == codec.encode(set(shuffled))
        assert codec.encode(frozenset(items)) == codec.encode(frozenset(shuffled))


@examples(60)
@given(VALUES, VALUES)
def test_equal_encodings_are_equal_values(left, right):
    assert (codec.encode(left) == codec.encode(right)) <= same(left, right)


@examples(200)
@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data):
    reencodes(data)


TAGS = [*codec._UNPACKERS, "?"]
# What bodies of tagged values are made of, right and nearly right.
SCRAPS = st.sampled_from(
    ["0x1", "-0x1", "0X1", "0x_1", " 0x1", "0x8000000000000000", "0x0", "1.5", "1_0", "inf", "nan", "-nan", "NaN",
     "sNaN", "1E+5", "1E+9999999", "\u0661", "ff", "FF", "f f", "2020-01-01", "2020-01-01T00:00:00", "2020-W01-1",
     "20200101", "2020-01-01T00:00:00+00:00", "00:00:00", "24:00", "int", "type", "object", "0000d8000000dc00",
     1 << 63, 1e300]
)  # fmt: skip
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | SCRAPS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TAGS), inner, max_size=2),
    max_leaves=10,
)


@examples(400)
@given(JSON_VALUES)
def test_any_tagged_json_decodes_or_is_refused(value):
    reencodes(json.dumps(value).encode())
    reencodes(json.dumps(value, separators=(",", ":")).encode())


@examples(400)
@given(st.sampled_from(TAGS), st.lists(SCRAPS | JSON_VALUES, max_size=4) | SCRAPS)
def test_any_tag_with_any_body_decodes_or_is_refused(tag, body):
    reencodes(json.dumps({tag: body}, separators=(",", ":")).encode())


@st.composite
def mutated(draw: st.DrawFn, frames: st.SearchStrategy[bytes]) -> bytes:
    """A valid frame with some bytes flipped, inserted, deleted, repeated, or its end cut off."""
    data = bytearray(draw(frames))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "insert", "delete", "cut", "twice"])):
            case "flip" if at < len(data):
                data[at] = draw(st.sampled_from(b'0123456789[]{}",:x-abefln \\') | st.integers(0, 255))
            case "insert":
                data[at:at] = draw(st.sampled_from([b"0", b",", b"[", b"]", b'"', b"1", b"null", b'{"set":', b" "]))
            case "delete":
                del data[at : at + draw(st.integers(1, 3))]
            case "cut":
                del data[at:]
            case "twice":
                data[at:at] = data[at : at + draw(st.integers(1, 20))]
    return bytes(data)


@examples(500)
@given(mutated(VALUES.map(codec.encode)))
def test_a_mutated_encoding_decodes_or_is_refused(data):
    reencodes(data)


@examples(300)
@given(mutated(VALUES.map(lambda value: calls.encode_result(codec.encode(value), codec.encode([[0, value]])))))
def test_a_mutated_result_frame_is_taken_apart_or_refused(frame):
    try:
        value, changed = calls.split_result(frame)
        calls.decode_changes(changed, 2)
    except codec.CodecError:
        return
    reencodes(value)


NOT_CANONICAL = [
    b" 1", b"1 ", b"[1, 2]", b"1.0e0", b"1E5", b"-0", b"NaN", b"Infinity", b"1e999", b'"\\u0061"',
    b"9223372036854775808",
    b'{"int":"0x1"}', b'{"int":"0x8000000000000000","int":"0x8000000000000000"}', b'{"int":"0X8000000000000000"}',
    b'{"int":"0x_8000000000000000"}', b'{"int":"9223372036854775808"}', b'{"float":"1.0"}', b'{"float":"Infinity"}',
    b'{"float":" inf"}', b'{"complex":["1","0.0"]}', b'{"bytes":"FF"}', b'{"bytes":"f f"}', b'{"set":[2,1]}',
    b'{"set":[1,1]}', b'{"set":[1.0,1]}', b'{"set":[[]]}', b'{"dict":[1,2,1,3]}', b'{"dict":[1]}', b'{"dict":[[],1]}',
    b'{"keys":[1,1]}', b'{"items":[1,1,true,1]}', b'{"range":["0x0","0x1","0x0"]}', b'{"deque":[true,[]]}',
    b'{"deque":[-1,[]]}', b'{"deque":[1,[1,2]]}', b'{"deque":[99999999999999999999,[]]}', b'{"decimal":"1_0"}',
    b'{"decimal":" 1"}', b'{"decimal":"1E+999999999"}', b'{"decimal":"\\u0661"}', b'{"fraction":["0x1","0x0"]}',
    b'{"fraction":["0x2","0x4"]}', b'{"fraction":["0x1","-0x2"]}', b'{"date":"20200101"}', b'{"time":"24:00"}',
    b'{"datetime":"2020-01-01T00:00:00+00:00"}', b'{"datetime":"2020-01-01"}', b'{"timedelta":[0,-1,0]}',
    b'{"timedelta":[true,0,0]}', b'{"timedelta":[9999999999,0,0]}', b'{"opaque":["A",1,""]}', b'{"type":"object"}',
    b'{"surrogates":"00000061"}', b'{"list":[1]}', b'{"str":"a"}', b'{}', b'{"int":"0x8000000000000000","set":[]}',
    b'"\\ud83d\\u0000', b'"\xff"', '"a"'.encode("utf-16"), b'\xef\xbb\xbf"a"', b"", b"1 1", b"[1]]",
]  # fmt: skip


@pytest.mark.parametrize("data", NOT_CANONICAL)
def test_what_no_honest_encoder_writes_is_refused(data):
    with pytest.raises(codec.CodecError):
        codec.decode(data)


def test_keys_that_collide_are_refused():
    modulus = sys.hash_info.modulus
    keys = {(index + 5) * modulus for index in range(codec.MAX_SAME_HASH + 1)}
    for value in (keys, frozenset(keys), dict.fromkeys(keys), dict.fromkeys(keys).keys(), {(key,) for key in keys}):
        with pytest.raises(codec.CodecError, match="same hash"):
            codec.decode(codec.encode(value))
    assert codec.decode(codec.encode(set(range(10_000)))) == set(range(10_000))


def test_large_numbers_are_capped_both_ways():
    large = 1 << codec.MAX_INT_BITS
    assert codec.decode(codec.encode(large - 1)) == large - 1
    for value in (large, Fraction(1, 1 << codec.MAX_FRACTION_BITS), Decimal("1E+999999"), Decimal("9" * 20_000)):
        with pytest.raises(codec.CodecError):
            codec.encode(value)
    with pytest.raises(codec.CodecError):
        codec.decode(b'{"int":"%s"}' % hex(large).encode())
    with pytest.raises(codec.CodecError):
        codec.encode("x" * (codec.MAX_BYTES - 1))


def test_a_value_that_shares_its_parts_is_not_written_out_without_end():
    value: list[object] = []
    for _ in range(100):
        value = [value, value]
    with pytest.raises(codec.CodecError):
        codec.encode(value)


def test_nested_sets_are_capped_because_sorting_encodes_them_again():
    value: frozenset[object] = frozenset()
    for _ in range(codec.MAX_DEPTH // (codec.SET_LEVELS + 1) - 1):
        value = frozenset([value, 1])
    assert codec.decode(codec.encode(value)) == value
    with pytest.raises(codec.CodecError):
        codec.encode(frozenset([frozenset([value, 1]), 2]))


def test_types_that_tests_pass_by_name_cross():
    assert codec.decode(codec.encode([int, str, dict])) == [int, str, dict]
    for value in (type, object, Decimal, len):
        with pytest.raises(codec.ForeignType):
            codec.encode(value)


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


@examples(60)
@given(st.text("abc_", min_size=1, max_size=20), st.lists(VALUES, max_size=3))
def test_calls_round_trip(name, args):
    frame = calls.encode_call(name, tuple(args), {"key": 1})
    assert calls.decode_call(frame) == (name, args, {"key": 1})


@examples(100)
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
