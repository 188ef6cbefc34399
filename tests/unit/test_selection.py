"""Properties of the draws: what they may return, and that they depend on their key only."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Answer, MergedRow, QuickSlow
from training.selection import (
    PairRule,
    Pool,
    Task,
    WeighBy,
    build_pool,
    draw_answer,
    draw_pair,
    evaluation_generator,
    generator,
    lacks,
)


def answer(index: int, *, passed: bool, tier: int | None) -> Answer:
    return Answer(
        text=f"    return {index}\n",
        votes=100.0 + index if passed else None,
        sample_id=index,
        solution_id=f"{index:016x}",
        verdict="PASSED" if passed else "WRONG",
        integrity="strong",
        tier=tier,
    )


LOWS = st.sampled_from([0.5, 1.0, 1.0001, 1.5, 2.0, 16.0])  # below 1: only what other methods call an interval
RULES = st.builds(PairRule, st.booleans(), st.sampled_from([0.0, 1.0, 1.5, 16.0, 17.0]), st.sampled_from(WeighBy))


@st.composite
def rows(draw: st.DrawFn, *, with_tiers: bool = True) -> MergedRow:
    steps = draw(st.lists(st.integers(0, 1), max_size=8))
    tiers = [sum(steps[: k + 1]) for k in range(len(steps))]
    failing = draw(st.integers(0, 5))
    candidates = [(i, j) for i in range(len(tiers)) for j in range(len(tiers)) if tiers[i] < tiers[j]]
    decided = draw(st.lists(st.sampled_from(candidates), unique=True)) if candidates else []
    answers = [answer(k, passed=True, tier=t if with_tiers else None) for k, t in enumerate(tiers)]
    answers += [answer(len(tiers) + k, passed=False, tier=None) for k in range(failing)]
    return MergedRow(
        id=draw(st.text(min_size=1, max_size=5)),
        question="def f():\n",
        entry_point="f",
        answers=answers,
        time={},
        passing=len(tiers),
        decided=[
            QuickSlow(i, j, ratio=20.0, low=draw(LOWS), high=90.0, rounds=5, confirmed=draw(st.booleans()))
            for i, j in decided
        ],
    )


def whole(row: MergedRow) -> Pool:
    return build_pool(row, range(len(row.answers)))[0]


@given(rows(), st.integers(0, 5), st.integers(0, 50), st.sampled_from(Task))
def test_a_pair_holds_what_its_task_promises(row: MergedRow, seed: int, epoch: int, task: Task) -> None:
    pool, order = build_pool(row, range(len(row.answers)))
    if lacks(pool, task):
        return
    chosen, rejected = (order[k] for k in draw_pair(pool, task, generator(seed, epoch, row.id)))
    decided = {(pair.quick, pair.slow) for pair in row.decided}
    assert row.answers[chosen].verdict == "PASSED"
    failed = row.answers[rejected].verdict == "WRONG"
    if task is Task.QVS:
        assert (chosen, rejected) in decided
    elif task is Task.PVF:
        assert failed
    elif task is Task.ALL:
        assert failed or (chosen, rejected) in decided
    else:
        assert rejected > chosen


@given(rows(), RULES, st.integers(0, 50), st.sampled_from([Task.QVS, Task.ALL]))
def test_only_pairs_that_the_rule_admits_are_drawn(row: MergedRow, rule: PairRule, epoch: int, task: Task) -> None:
    pool, order = build_pool(row, range(len(row.answers)), rule)
    evidence = {(pair.quick, pair.slow): pair for pair in row.decided}
    admitted = {
        places
        for places, pair in evidence.items()
        if pair.low >= rule.min_ratio
        and (pair.confirmed or not rule.confirmed)
        and (pair.low > 1 or rule.weigh_by is WeighBy.NONE)
    }
    assert {(order[i], order[j]) for i, j in pool.decided} == admitted
    assert pool.dismissed == len(evidence) - len(admitted)
    assert len(pool.weights) == (0 if rule.weigh_by is WeighBy.NONE else len(admitted))
    assert all(weight > 0 for weight in pool.weights)
    if lacks(pool, task):
        assert not admitted
        assert task is Task.QVS or not pool.failing or not pool.passing
        return
    chosen, rejected = (order[k] for k in draw_pair(pool, task, generator(0, epoch, row.id)))
    failed = row.answers[rejected].verdict == "WRONG"
    assert (chosen, rejected) in admitted or (task is Task.ALL and failed)


@given(rows(), RULES, st.integers(0, 50), st.sampled_from([None, Task.PVF, Task.QVS_RELEASED]))
def test_the_rule_leaves_the_other_draws_alone(row: MergedRow, rule: PairRule, epoch: int, task: Task | None) -> None:
    ruled, plain = build_pool(row, range(len(row.answers)), rule)[0], whole(row)
    assert lacks(ruled, task) == lacks(plain, task)
    if lacks(plain, task):
        return

    def drawn(pool: Pool) -> object:
        rng = generator(0, epoch, row.id)
        return draw_answer(pool, 40, rng) if task is None else draw_pair(pool, task, rng)

    assert drawn(ruled) == drawn(plain)


@given(rows(), st.integers(0, 50), st.sampled_from(Task))
def test_a_rule_that_admits_all_changes_no_draw(row: MergedRow, epoch: int, task: Task) -> None:
    lenient = build_pool(row, range(len(row.answers)), PairRule(confirmed=False, min_ratio=0))[0]
    if not lacks(lenient, task):
        expected = draw_pair(whole(row), task, generator(0, epoch, row.id))
        assert draw_pair(lenient, task, generator(0, epoch, row.id)) == expected


def shares(pool: Pool, task: Task, draws: int = 20_000) -> dict[tuple[int, int], float]:
    counts = Counter(draw_pair(pool, task, generator(0, epoch, "t")) for epoch in range(draws))
    return {pair: count / draws for pair, count in counts.items()}


def test_weights_are_the_chances_of_quick_over_slow() -> None:
    pool = Pool(tiers=(0, 1, 2), size=4, decided=((0, 1), (0, 2), (1, 2)), weights=(1.0, 5.0, 2.0))
    expected = {(0, 1): 1 / 8, (0, 2): 5 / 8, (1, 2): 2 / 8}
    assert shares(pool, Task.QVS) == pytest.approx(expected, abs=0.015)


def test_in_all_weights_move_nothing_between_slower_and_failing_answers() -> None:
    decided = ((0, 1), (0, 2), (1, 2))
    plain, weighed = Pool((0, 1, 2), 4, decided), Pool((0, 1, 2), 4, decided, (1.0, 3.0, 9.0))
    # Each of the three is chosen equally often; the first has two slower ones and a failing one.
    even = {(0, 1): 1 / 9, (0, 2): 1 / 9, (0, 3): 1 / 9, (1, 2): 1 / 6, (1, 3): 1 / 6, (2, 3): 1 / 3}
    assert shares(plain, Task.ALL) == pytest.approx(even, abs=0.015)
    assert shares(weighed, Task.ALL) == pytest.approx(even | {(0, 1): 1 / 18, (0, 2): 3 / 18}, abs=0.015)


def test_the_weight_of_a_pair_is_how_far_its_interval_stays_from_1() -> None:
    rule = PairRule(weigh_by=WeighBy.CONFIDENCE)
    near, far = (QuickSlow(0, 1, 9.0, low, 90.0, 5, confirmed=True) for low in (1.2, 1.2**3))
    assert rule.weight(far) == pytest.approx(3 * rule.weight(near))
    assert not rule.admits(QuickSlow(0, 1, 1.1, 1.0, 1.2, 5, confirmed=True))
    assert PairRule().weight(far) == PairRule().weight(near) == 1.0


@given(rows(), st.floats(0.1, 100), st.integers(0, 50))
def test_an_answer_is_in_the_tiers_of_the_top(row: MergedRow, top_p: float, epoch: int) -> None:
    pool, order = build_pool(row, range(len(row.answers)))
    if lacks(pool, None):
        return
    drawn = order[draw_answer(pool, top_p, generator(0, epoch, row.id))]
    slowest_place = max(1, math.ceil(top_p * row.passing / 100)) - 1
    assert drawn < row.passing
    drawn_tier, last_tier = row.answers[drawn].tier, row.answers[slowest_place].tier
    assert drawn_tier is not None
    assert last_tier is not None
    assert drawn_tier <= last_tier


@given(rows(with_tiers=False), st.floats(0.1, 100), st.integers(0, 50))
def test_without_ties_the_draw_is_one_of_exactly_the_top_places(row: MergedRow, top_p: float, epoch: int) -> None:
    pool, order = build_pool(row, range(len(row.answers)))
    if not lacks(pool, None):
        drawn = order[draw_answer(pool, top_p, generator(0, epoch, row.id))]
        assert drawn < max(1, math.ceil(top_p * row.passing / 100))


def test_tied_answers_share_their_places_equally() -> None:
    pool = Pool(tiers=(0, 1, 1, 1), size=4, decided=())  # top 50%: two places, the second shared by three
    counts = Counter(draw_answer(pool, 50, generator(0, epoch, "t")) for epoch in range(6000))
    assert counts[0] / 6000 == pytest.approx(1 / 2, abs=0.03)
    for k in (1, 2, 3):
        assert counts[k] / 6000 == pytest.approx(1 / 6, abs=0.03)


@pytest.mark.parametrize("task", list(Task))
def test_every_pair_that_may_be_drawn_is_drawn_and_no_other(task: Task) -> None:
    pool = Pool(tiers=(0, 0, 1), size=5, decided=((0, 2),))
    expected = {
        Task.QVS: {(0, 2)},
        Task.PVF: {(i, j) for i in range(3) for j in (3, 4)},
        Task.ALL: {(i, j) for i in range(3) for j in (3, 4)} | {(0, 2)},
        Task.QVS_RELEASED: {(i, j) for i in (0, 1) for j in range(i + 1, 5)},
    }[task]
    assert {draw_pair(pool, task, generator(1, epoch, "t")) for epoch in range(500)} == expected


@given(rows(), st.integers(0, 9), st.integers(0, 9), st.sampled_from([None, *Task]))
def test_the_key_alone_decides(row: MergedRow, seed: int, epoch: int, task: Task | None) -> None:
    pool = whole(row)
    if lacks(pool, task):
        return

    def once() -> object:
        random.seed(random.SystemRandom().random())  # the global state must not matter
        rng = generator(seed, epoch, row.id)
        return draw_answer(pool, 40, rng) if task is None else draw_pair(pool, task, rng)

    assert once() == once()


def test_epochs_seeds_and_problems_give_other_draws() -> None:
    pool = Pool(tiers=tuple(range(50)), size=50, decided=())
    by_epoch = [draw_answer(pool, 100, generator(0, epoch, "t")) for epoch in range(20)]
    by_seed = [draw_answer(pool, 100, generator(seed, 0, "t")) for seed in range(20)]
    by_task = [draw_answer(pool, 100, generator(0, 0, str(k))) for k in range(20)]
    assert len(set(by_epoch)) > 10
    assert len(set(by_seed)) > 10
    assert len(set(by_task)) > 10
    assert draw_answer(pool, 100, evaluation_generator("t")) == draw_answer(pool, 100, evaluation_generator("t"))


@given(rows(), st.data())
def test_leaving_answers_out_keeps_the_rest_in_order(row: MergedRow, data: st.DataObject) -> None:
    keep = data.draw(st.sets(st.sampled_from(range(len(row.answers))))) if row.answers else set()
    pool, order = build_pool(row, keep)
    assert sorted(order) == sorted(keep)
    assert pool.size == len(keep)
    assert pool.passing == sum(k < row.passing for k in keep)
    kept_pairs = {(p.quick, p.slow) for p in row.decided if {p.quick, p.slow} <= keep}
    assert {(order[i], order[j]) for i, j in pool.decided} == kept_pairs
    for a in range(pool.passing):
        for b in range(pool.passing):
            same = row.answers[order[a]].tier == row.answers[order[b]].tier
            assert (pool.tiers[a] == pool.tiers[b]) == same


def test_a_file_that_is_not_in_tier_order_is_put_in_it() -> None:
    row = MergedRow(
        id="t",
        question="",
        entry_point="f",
        answers=[answer(0, passed=True, tier=1), answer(1, passed=True, tier=0), answer(2, passed=False, tier=None)],
        time={},
        passing=2,
        decided=[QuickSlow(quick=1, slow=0, ratio=2.0, low=1.5, high=2.5, rounds=5)],
    )
    pool, order = build_pool(row, range(3))
    assert (pool.tiers, order, pool.decided) == ((0, 1), [1, 0, 2], ((0, 1),))


@pytest.mark.parametrize(
    ("pool", "task", "reason"),
    [
        (Pool((), 3, ()), None, "no passing answer"),
        (Pool((), 3, ()), Task.PVF, "no passing answer"),
        (Pool((0, 0), 3, ()), Task.QVS, "no decided pair"),
        (Pool((0, 0), 2, ()), Task.PVF, "no failing answer"),
        (Pool((0, 0), 3, (), dismissed=2), Task.QVS, "no decided pair that may be drawn"),
        (Pool((0, 0), 2, ()), Task.ALL, "neither a decided pair that may be drawn nor a failing answer"),
        (Pool((0,), 3, ()), Task.QVS_RELEASED, "fewer than two passing answers"),
        (Pool((0,), 1, ()), None, ""),
    ],
)
def test_the_reason_for_leaving_a_problem_out(pool: Pool, task: Task | None, reason: str) -> None:
    assert lacks(pool, task) == reason
