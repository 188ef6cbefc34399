"""Order, seeds and the contamination gate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from timing_blocks import blocks

from harness.timing.schedule import block_order, contaminated, current_blocks, hash_seed, set_digest

IDS = [f"{i:016x}" for i in range(12)]


def test_odd_rounds_reverse_the_round_before() -> None:
    for number in range(0, 16, 2):
        assert block_order(IDS, number, 1) == block_order(IDS, number + 1, 1)[::-1]
    orders = {tuple(block_order(IDS, number, 1)) for number in range(0, 16, 2)}
    assert len(orders) == 8
    assert all(sorted(order) == IDS for order in orders)


def test_order_depends_on_content_and_seed_only() -> None:
    assert block_order(IDS, 3, 1) == block_order(IDS[::-1], 3, 1)
    assert block_order(IDS, 3, 1) != block_order(IDS, 3, 2)
    assert block_order([], 0, 1) == []


def test_hash_seeds_differ_by_round_and_are_never_zero() -> None:
    seeds = [hash_seed(1, number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(1 <= seed < 2**32 for seed in seeds)
    assert hash_seed(1, 0) == hash_seed(1, 0) != hash_seed(2, 0)


@pytest.mark.parametrize(
    ("before", "after", "spoilt"),
    [
        (100, 100, False),
        (115, 85, False),
        (116, 100, True),
        (100, 116, True),
        (84, 100, True),
        (100, 84, True),
        (0, 100, True),
    ],
)
def test_contaminated(before: int, after: int, spoilt: bool) -> None:
    assert contaminated(before, after, 100.0) is spoilt


def test_tolerance_and_bad_reference() -> None:
    assert not contaminated(115, 100, 100.0, tolerance=0.2)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            contaminated(100, 100, bad)


def test_current_blocks_are_those_of_the_last_set_of_solutions() -> None:
    before, after = blocks({"a": 1e3, "b": 2e3}, 5), blocks({"a": 1e3, "b": 2e3, "c": 3e3}, 2)
    assert current_blocks(before + after) == after
    assert current_blocks(after + before) == before
    assert current_blocks(before) == before
    assert current_blocks([]) == []


def test_a_round_of_a_part_belongs_to_its_set() -> None:
    of = set_digest(["a", "b", "c"])
    whole, part = blocks({"c": 1.0, "b": 2.0, "a": 3.0}, 2), blocks({"a": 1.0, "b": 2.0}, 2, first_round=2)
    ours = [replace(block, of=of) for block in whole + part]
    others = [replace(block, of=set_digest(["a", "b"])) for block in part]
    assert current_blocks(others + ours) == ours
    assert current_blocks(ours + others) == others
