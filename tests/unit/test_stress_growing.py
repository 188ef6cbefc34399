"""Growing recorded calls: types, structure and relations stay, sizes are met, the same seed gives the same."""

from __future__ import annotations

import ast
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.stress.grow import Axis, Grower, Style
from harness.stress.numbers import is_prime
from harness.stress.recorded import recorded_calls
from harness.stress.relations import Kind, Relation, find_relations, holds
from harness.stress.texts import is_balanced

DRAWS = range(16)


def grown(calls: list[tuple[Any, ...]], size: int) -> list[tuple[Any, ...]]:
    grower = Grower(calls, "seed")
    found = [grower.grow(size, number) for number in DRAWS]
    return [call for call in found if call is not None]


# ---- what a test calls -----------------------------------------------------------------------------------------------


def test_calls_are_read_from_asserts_of_any_shape():
    test = (
        "def check(candidate):\n    assert candidate([1, 2], 'a') == 3\n    assert not candidate([], 'b')\n"
        "    assert abs(candidate([3], 'c') - 1.5) < 1e-6\n    assert candidate([1, 2], 'a') != 4\n"
        "    for x in range(3):\n        assert candidate([x], 'd')\n    assert other([9], 'e')\n"
    )
    assert recorded_calls(test).calls == (([1, 2], "a"), ([], "b"), ([3], "c"))


@pytest.mark.parametrize(
    ("asserts", "wrapper"),
    [
        ("assert sorted(candidate(1)) == [1]", "sorted"),
        ("assert sorted(candidate(1)) == [1]\n    assert candidate(2) == [1]", ""),
        ("assert set(candidate(1)) == set([1])\n    assert set(candidate(2)) == {2}", "set"),
        ("assert sorted(candidate(1), reverse=True) == [1]", ""),
        ("assert f(candidate(1)) == 1", ""),
    ],
)
def test_a_wrapper_counts_where_all_calls_have_it(asserts: str, wrapper: str):
    assert recorded_calls(f"def check(candidate):\n    {asserts}\n").wrapper == wrapper


@pytest.mark.parametrize(
    "test", ["def check(", "x = 1", "def check():\n    pass", "def check(c):\n    assert c(g())"]
)
def test_a_test_without_readable_calls_has_none(test: str):
    assert recorded_calls(test).calls == ()


def test_the_most_frequent_number_of_arguments_counts():
    test = "def check(c):\n    assert c(1)\n    assert c(2, 3)\n    assert c(4, 5)\n"
    assert recorded_calls(test).calls == ((2, 3), (4, 5))


# ---- relations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "relation"),
    [
        ([([5, 6, 7], 3), ([1], 1)], Relation(Kind.LENGTH, 1, 0)),
        ([([5, 6, 7], 2), ([1], 0)], Relation(Kind.LENGTH, 1, 0, -1)),
        ([([[1, 2, 3], [4, 5, 6]], 3), ([[1, 2], [3, 4], [5, 6]], 2)], Relation(Kind.WIDTH, 1, 0)),
        ([([50, 60, 70], 60), ([80, 90], 90)], Relation(Kind.MEMBER, 1, 0)),
        ([([5, 6, 7, 9], 0), ([1, 4], 1)], Relation(Kind.INDEX, 1, 0)),
        ([([5, 6, 7, 9], 4), ([1, 4], 1)], Relation(Kind.COUNT, 1, 0)),
        ([(3, 9), (4, 4)], Relation(Kind.BELOW, 0, 1)),
        ([("a", "banana"), ("nd", "candy")], Relation(Kind.MEMBER, 0, 1)),
    ],
)
def test_relations_are_found(calls: list[tuple[Any, ...]], relation: Relation):
    assert relation in find_relations(calls)


def test_one_call_shows_no_relation():
    assert find_relations([([1, 2, 3], 3)]) == ()


@pytest.mark.parametrize("size", [30, 500])
@pytest.mark.parametrize(
    "calls",
    [
        [([5, 6, 7], 3), ([1], 1)],
        [([5, 6, 7], 2, 1), ([1], 0, 4), ([2, 2], 1, 0)],
        [([[1, 2, 3], [4, 5, 6]], 2, 3), ([[1, 2], [3, 4], [5, 6]], 3, 2)],
        [([50, 60, 70], 60), ([80, 90], 90)],
        [([5, 6, 7, 9], 0), ([1, 4], 1)],
        [([5, 6, 7, 9], 4), ([1, 4], 1)],
        [([5, 6], [1, 2], 2), ([1, 4, 6], [3, 3, 3], 3)],
    ],
)
def test_relations_hold_in_every_grown_call(calls: list[tuple[Any, ...]], size: int):
    relations = find_relations(calls)
    more = grown(calls, size)
    assert len(more) >= len(DRAWS) // 2
    assert all(holds(one, call) for one in relations for call in more)


def test_numbers_keep_their_order_when_they_grow():
    calls = [(2, 9), (3, 4), (5, 50)]
    assert all(low <= high for low, high in grown(calls, 100_000))


def test_a_place_in_a_list_moves_along_in_some_draws_and_stays_in_others():
    places = {call[1] for call in grown([([4, 9, 2, 7], 2), ([1, 8, 3, 9, 5], 4)], 1_000)}
    assert places & {2, 4}
    assert max(places) > 100


# ---- structure -------------------------------------------------------------------------------------------------------


def test_sorted_lists_grow_into_sorted_ones_and_others_do_not():
    up = grown([([1, 4, 4, 9],), ([2, 3, 8],)], 200)
    down = grown([([9, 4, 1],), ([8, 3, 3, 2],)], 200)
    mixed = grown([([9, 1, 4, 4],)], 200)
    assert all(call[0] == sorted(call[0]) for call in up)
    assert all(call[0] == sorted(call[0], reverse=True) for call in down)
    assert not any(call[0] == sorted(call[0]) for call in mixed)


def test_lists_without_duplicates_get_none():
    assert all(len(set(call[0])) == len(call[0]) for call in grown([([3, 9, 5],), ([7, 2],)], 300))


def test_a_list_without_duplicates_stays_one_in_some_draws_where_others_have_some():
    lists = [call[0] for call in grown([([3, 8, 1, 5],), ([4, 9, 9],)], 300)]
    distinct = [len(set(one)) == len(one) for one in lists]
    assert any(distinct)
    assert not all(distinct)


def test_permutations_grow_into_permutations():
    for (numbers,) in grown([([2, 1, 3],), ([4, 1, 3, 2],)], 90):
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_signs_and_steps_stay():
    for (numbers,) in grown([([2, 8, 8, 40],), ([6, 2],)], 200):
        assert min(numbers) >= 2
        assert not any(number % 2 for number in numbers)
    assert any(number < 0 for call in grown([([-5, 3, 3],)], 200) for number in call[0])


def test_rectangles_stay_rectangular_and_squares_square():
    oblong = grown([([[1, 2, 3], [4, 5, 6]],), ([[7, 8, 9]],)], 300)
    assert all(len({len(row) for row in call[0]}) == 1 for call in oblong)
    square = grown([([[1, 2], [3, 4]],), ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],)], 400)
    assert all(all(len(row) == len(call[0]) for row in call[0]) for call in square)
    assert all(350 <= len(call[0]) ** 2 <= 450 for call in square)


def test_tuples_of_one_length_are_records_and_others_grow():
    assert all(len(call[0]) == 2 for call in grown([((3, 4), [1, 2]), ((5, 6), [7])], 100))
    assert all(len(call[0]) == 100 for call in grown([((3, 4, 4),), ((5, 6),)], 100))


def test_single_characters_stay_single():
    assert all(len(call[1]) == 1 for call in grown([("banana", "a"), ("tree", "e")], 100))


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["(()())", "()"], is_balanced),
        (["([]{})", "[]"], is_balanced),
        (["racecar", "aba"], lambda text: text == text[::-1]),
        (["1203", "77"], lambda text: text.isdigit() and text[0] != "0"),
        (["0110", "1"], lambda text: set(text) <= {"0", "1"}),
        (["aabbz", "axx"], lambda text: list(text) == sorted(text)),
        (["red, blue", "green, red"], lambda text: all(word.isalpha() for word in text.split(", "))),
        (["10.0.0.1", "192.16.1.7"], lambda text: all(part.isdigit() for part in text.split("."))),
    ],
)
def test_texts_keep_their_structure(texts: list[str], kept: Any):
    more = grown([(text,) for text in texts], 300)
    assert all(kept(call[0]) for call in more)
    assert all(200 <= len(call[0]) <= 320 for call in more)


def test_dicts_and_sets_grow_by_new_keys():
    for (mapping,) in grown([({"a": 1, "bc": 2},), ({"d": 5},)], 60):
        assert all(isinstance(key, str) for key in mapping)
        assert all(type(part) is int for part in mapping.values())
    assert max(len(call[0]) for call in grown([({3, 9, 12},)], 60)) == 60


def test_numbers_grow_and_flags_do_not():
    for number, flag, switch in grown([(12, 1, True), (30, 0, False)], 10_000):
        assert 9_000 <= number <= 10_000
        assert flag in (0, 1)
        assert type(switch) is bool


def test_primes_squares_and_powers_of_two_stay_what_they_are():
    assert sum(is_prime(call[0]) for call in grown([(13,), (101,), (7,)], 10_000)) >= 8
    assert sum(math.isqrt(call[0]) ** 2 == call[0] for call in grown([(4,), (49,), (81,)], 10_000)) >= 8
    assert sum(call[0].bit_count() == 1 for call in grown([(4,), (16,), (32,)], 10_000)) >= 8


@given(st.integers(-5, 20_000))
def test_primes_are_those_without_divisors(number: int):
    assert is_prime(number) == (number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1)))


@pytest.mark.parametrize("number", [561, 3_215_031_751, 3_474_749_660_383, 999_999_999_989 * 7])
def test_composites_that_deceive_single_witnesses_are_no_primes(number: int):
    assert not is_prime(number)


@pytest.mark.parametrize("calls", [[(True,)], [("a",), ("b",)], [(None, 1)], [([],)]])
def test_nothing_grows_where_nothing_can(calls: list[tuple[Any, ...]]):
    grower = Grower(calls, "seed")
    assert grower.axis is Axis.NONE
    assert grower.grow(100, 0) is None


def test_eight_draws_have_eight_styles():
    styles = [Style.of(number, random.Random(number)) for number in range(8)]
    assert len({(style.tile, style.wide, style.own) for style in styles}) == 8


@pytest.mark.parametrize("calls", [[], [(1,), (1, 2)]])
def test_calls_of_several_lengths_are_refused(calls: list[tuple[Any, ...]]):
    with pytest.raises(ValueError, match="one length"):
        Grower(calls, "seed")


# ---- whatever is recorded --------------------------------------------------------------------------------------------

LEAVES = st.one_of(st.integers(-10_000, 10_000), st.booleans(), st.text(max_size=8), st.none(), st.floats(-1e6, 1e6))
HASHABLE = st.one_of(st.integers(-99, 99), st.text(max_size=4))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
    ),
    max_leaves=12,
)
CALLS = st.integers(1, 3).flatmap(lambda arity: st.lists(st.tuples(*[VALUES] * arity), min_size=1, max_size=4))


@settings(max_examples=150, deadline=None)
@given(CALLS, st.integers(4, 400))
def test_grown_calls_have_the_types_and_relations_of_what_was_recorded(calls: list[tuple[Any, ...]], size: int):
    grower = Grower(calls, "seed")
    types = [{type(call[place]) for call in calls} for place in range(len(calls[0]))]
    for number in DRAWS:
        call = grower.grow(size, number)
        if call is None:
            continue
        assert all(type(value) in seen for value, seen in zip(call, types, strict=True))
        assert all(holds(one, call) for one in grower.relations)
        assert call == Grower(calls, "seed").grow(size, number)
        assert ast.literal_eval(repr(call)) == call


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=9), min_size=1, max_size=4), st.integers(20, 2_000))
def test_lists_have_the_size_that_was_asked_for(lists: list[list[int]], size: int):
    grower = Grower([(one,) for one in lists], "seed")
    assert all(abs(grower.size(call) - size) <= 1 for call in grown([(one,) for one in lists], size))
