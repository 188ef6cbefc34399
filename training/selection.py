"""Which answer, or which pair, a problem gives at one visit. Pure: no tokens, no files, no global random state.

A draw depends on `(seed, epoch, task_id)` and the problem's answers only, so it is the same on every rank, after a
resume and in a rerun. Indices are positions in a `Pool`: passing answers fastest first, then the failing ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from harness.records import MergedRow, QuickSlow


class Task(StrEnum):
    """What a preference pair (chosen, rejected) is made of."""

    QVS = "qvs"  # quick over slow: both pass and the order is decided
    PVF = "pvf"  # passed over failed
    ALL = "all"  # any passing answer over anything that is decided slower, or failed
    QVS_RELEASED = "qvs_released"  # the published draw: over anything later in the list, failures included


class WeighBy(StrEnum):
    """How likely one usable quick-over-slow pair is drawn beside another of its problem."""

    NONE = "none"  # equally
    CONFIDENCE = "confidence"  # in proportion to log(low): how far the interval of the ratio stays from 1


@dataclass(frozen=True, slots=True)
class PairRule:
    """Which decided pairs `qvs` and `all` may draw, and how likely each is."""

    confirmed: bool = True  # only those whose order was seen again in rounds measured later for that
    min_ratio: float = 1.0  # only those with at least this lower end of the ratio's interval
    weigh_by: WeighBy = WeighBy.NONE

    def admits(self, pair: QuickSlow) -> bool:
        """Whether the pair may be drawn. Weighed by confidence, one whose interval reaches 1 weighs nothing."""
        evidence = pair.low > 1 if self.weigh_by is WeighBy.CONFIDENCE else True
        return evidence and pair.low >= self.min_ratio and (pair.confirmed or not self.confirmed)

    def weight(self, pair: QuickSlow) -> float:
        """Above 0 for a pair that is admitted."""
        return math.log(pair.low) if self.weigh_by is WeighBy.CONFIDENCE else 1.0


ANY_PAIR = PairRule(confirmed=False, min_ratio=0)


@dataclass(frozen=True, slots=True)
class Pool:
    """One problem's answers as the draws see them.

    `tiers[k]` is the speed tier of passing answer k (0 = fastest, never decreasing); answers `len(tiers)` up to
    `size - 1` failed. `decided` holds (quick, slow) positions, both passing, of the pairs that may be drawn, and
    `weights`, unless empty, how likely each is beside the others. `dismissed` pairs are decided, but may not be drawn.
    """

    tiers: tuple[int, ...]
    size: int
    decided: tuple[tuple[int, int], ...]
    weights: tuple[float, ...] = ()
    dismissed: int = 0

    @property
    def passing(self) -> int:
        return len(self.tiers)

    @property
    def failing(self) -> range:
        return range(self.passing, self.size)


def build_pool(row: MergedRow, keep: Collection[int], rule: PairRule = ANY_PAIR) -> tuple[Pool, list[int]]:
    """The pool of the answers in `keep`, and for each of its positions the index in `row.answers`.

    Passing answers are ordered by tier and, inside a tier, as in the file. Answers without a tier (data made
    elsewhere) rank by their place in the file, after those with one.
    """
    wanted = set(keep)

    def rank(index: int) -> tuple[bool, int, int]:
        tier = row.answers[index].tier
        return (tier is None, index if tier is None else tier, index)

    passing = sorted((k for k in range(row.passing) if k in wanted), key=rank)
    order = passing + [k for k in range(row.passing, len(row.answers)) if k in wanted]
    position = {index: place for place, index in enumerate(order)}
    tiers: list[int] = []
    for place, index in enumerate(passing):
        tied = place > 0 and rank(index)[:2] == rank(passing[place - 1])[:2]
        tiers.append(tiers[-1] if tied else len(set(tiers)))
    kept = [pair for pair in row.decided if pair.quick in position and pair.slow in position]
    admitted = [pair for pair in kept if rule.admits(pair)]
    pool = Pool(
        tiers=tuple(tiers),
        size=len(order),
        decided=tuple((position[pair.quick], position[pair.slow]) for pair in admitted),
        weights=() if rule.weigh_by is WeighBy.NONE else tuple(rule.weight(pair) for pair in admitted),
        dismissed=len(kept) - len(admitted),
    )
    return pool, order


def generator(seed: int, epoch: int, task_id: str) -> random.Random:
    """The random numbers of one problem's visit in one epoch."""
    return random.Random(f"{seed}:{epoch}:{task_id}")  # noqa: S311 — reproducible draws, not secrets


def evaluation_generator(task_id: str) -> random.Random:
    """The random numbers of a problem's fixed evaluation draw: the same for every seed, so that evaluation losses of
    runs with different seeds are about the same texts."""
    return random.Random(f"evaluation:{task_id}")  # noqa: S311 — as above


def draw_answer(pool: Pool, top_p: float, rng: random.Random) -> int:
    """One of the fastest ceil(top_p · passing / 100) passing answers.

    A place among those is drawn uniformly, then an answer of that place's tier: each of the places weighs the same,
    and answers that could not be told apart share theirs, also where the cut goes through a tier.
    Raises ValueError where nothing passes.
    """
    places = max(1, math.ceil(top_p * pool.passing / 100))
    tier = pool.tiers[rng.randrange(min(places, pool.passing))]
    return rng.choice([k for k, other in enumerate(pool.tiers) if other == tier])


def draw_pair(pool: Pool, task: Task, rng: random.Random) -> tuple[int, int]:
    """(chosen, rejected) positions. Raises ValueError or IndexError where `lacks` has something to say."""
    if task is Task.QVS:
        return rng.choices(pool.decided, pool.weights)[0] if pool.weights else rng.choice(pool.decided)
    if task is Task.PVF:
        return rng.randrange(pool.passing), rng.choice(pool.failing)
    if task is Task.QVS_RELEASED:
        chosen = rng.randrange(pool.passing - 1)
        return chosen, rng.randrange(chosen + 1, pool.size)
    return _draw_from_all(pool, rng)


def _draw_from_all(pool: Pool, rng: random.Random) -> tuple[int, int]:
    """A passing answer that something is worse than, uniformly; then one of what is worse.

    Weights share out among the chosen answer's slower ones what these have together; a failing answer is as likely as
    it is without weights.
    """
    with_worse = range(pool.passing) if pool.failing else sorted({quick for quick, _ in pool.decided})
    chosen = rng.choice(with_worse)
    slower = [place for place, (quick, _) in enumerate(pool.decided) if quick == chosen]
    worse = [*pool.failing, *(pool.decided[place][1] for place in slower)]
    if not pool.weights or not slower:
        return chosen, rng.choice(worse)
    mean = sum(pool.weights[place] for place in slower) / len(slower)
    weights = [mean] * len(pool.failing) + [pool.weights[place] for place in slower]
    return chosen, rng.choices(worse, weights)[0]


def lacks(pool: Pool, task: Task | None) -> str:
    """Why a problem can't give a pair of this kind (or, for None, an answer to imitate); empty if it can."""
    if pool.passing == 0:
        return "no passing answer"
    if task is Task.QVS and not pool.decided:
        return "no decided pair that may be drawn" if pool.dismissed else "no decided pair"
    if task is Task.PVF and not pool.failing:
        return "no failing answer"
    if task is Task.ALL and not pool.decided and not pool.failing:
        return "neither a decided pair that may be drawn nor a failing answer"
    if task is Task.QVS_RELEASED and pool.passing < 2:
        return "fewer than two passing answers"
    return ""
