"""The timing benchmark's figures on made-up labels whose truth is known, and the identical copies that it makes."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_blocks import blocks, confirmed_blocks

from harness.timing.decisions import decide
from harness.timing.solution_id import solution_id
from tests.benchmarks.timing_figures import (
    Share,
    again,
    decided_pairs,
    false_decisions,
    median_spread,
    orders_by_time,
    run_times,
    seen_orders,
    share_above,
    without,
    wrong_by_gap,
    yield_by_gap,
)
from tests.benchmarks.timing_results import gate
from tests.benchmarks.timing_variants import variants

TRUE = {"a": 100.0, "b": 104.0, "c": 130.0, "d": 300.0}


def labels():
    return decide(confirmed_blocks(TRUE))


def test_decided_pairs_and_times():
    assert set(decided_pairs([labels()])) == {
        ("t", "a", "c"), ("t", "a", "d"), ("t", "b", "c"), ("t", "b", "d"), ("t", "c", "d"),
    }  # fmt: skip
    assert run_times([labels()])["t", "d"] == pytest.approx(300)
    assert len(seen_orders([labels()])) == 6


def test_a_method_without_abstention_orders_all_that_differs():
    times = {("t", "a"): 1.0, ("t", "b"): 1.04, ("t", "c"): 1.04, ("u", "a"): 9.0}
    assert set(orders_by_time(times)) == {("t", "a", "b"), ("t", "a", "c")}
    assert orders_by_time(times, 0.05) == {}


def test_order_seen_again():
    first = {("t", "a", "b"): 2.0, ("t", "b", "c"): 1.5, ("t", "x", "y"): 3.0}
    second = {("t", "a", "b"): 1.1, ("t", "c", "b"): 1.2}
    assert again(first, second) == Share(1, 2)
    assert again(first, {}).value is None


def test_identical_programs():
    groups = {"t": ("a", "b", "c")}
    assert false_decisions([("t", "b", "a"), ("t", "a", "z"), ("u", "a", "b")], groups) == Share(1, 3)
    assert median_spread({("t", "a"): 2.0, ("t", "b"): 3.0, ("t", "c"): 2.5}, groups) == pytest.approx(1.5)
    assert median_spread({("t", "a"): 2.0}, groups) is None


def test_yield_and_errors_by_true_gap():
    truth = {("t", "a", "b"): 1.04, ("t", "a", "c"): 1.3, ("t", "a", "d"): 3.0, ("t", "b", "d"): 2.9}
    rows = yield_by_gap([("t", "a", "c"), ("t", "d", "a")], truth)
    assert {low: (share.hits, share.count) for low, _, share in rows if share.count} == {
        1.02: (0, 1), 1.3: (1, 1), 2.0: (0, 2),
    }  # fmt: skip
    assert share_above(rows, 1.15) == Share(1, 3)
    wrong = wrong_by_gap([("t", "a", "c"), ("t", "d", "a")], truth)
    assert {low: (share.hits, share.count) for low, _, share in wrong if share.count} == {1.3: (0, 1), 2.0: (1, 1)}


def test_copies_are_left_out():
    pairs = {("t", "a", "b"): 2.0, ("t", "a", "a~1"): 1.1, ("u", "a~1", "b"): 1.2}
    assert without(pairs, {("t", "a~1")}) == {("t", "a", "b"): 2.0, ("u", "a~1", "b"): 1.2}


@given(st.integers(0, 50), st.integers(1, 50))
def test_shares_lie_in_their_intervals(hits, more):
    share = Share(hits, hits + more)
    assert 0 <= share.low <= share.value <= share.high <= 1


def test_the_gate_sorts_ratios_by_the_reference():
    calm = blocks({"a": 100.0, "b": 200.0}, 6)
    (row,) = gate(calm)
    assert (row["off"], row["count"]) == (0.0, 6)
    assert row["p90"] == pytest.approx(0, abs=1e-9)


PROGRAM = '''from typing import List

def total(items: List[int], limit=3) -> int:
    """Adds."""
    result = 0
    for index, item in enumerate(items):
        if item > limit:
            result += item
        else:
            result -= index
    return result
'''


@pytest.mark.parametrize("seed", range(5))
def test_variants_are_the_same_program_in_other_words(seed):
    found = variants(PROGRAM, "total", 4, seed)
    assert len(set(found)) == 4
    for text in found:
        assert text != PROGRAM
        assert solution_id(text, "total") == solution_id(PROGRAM, "total")
        namespace = {}
        exec(compile(ast.parse(text), "variant", "exec"), namespace)  # our own text
        assert namespace["total"]([1, 5, 9, 2]) == 11
    assert all(not re.search(r"\bresult\b", text) for text in found)


def test_what_cannot_be_changed_has_no_variants():
    assert variants("def f(:", "f", 3, 1) == []
