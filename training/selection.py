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

from harness.records import MergedRow


class Task(StrEnum):
    """What a preference pair (chosen, rejected) is made of."""

    QVS = "qvs"  # quick over slow: both pass and the order is decided
    PVF = "pvf"  # passed over failed
    ALL = "all"  # any passing answer over anything that is decided slower, or failed
    QVS_RELEASED = "qvs_released"  # the published draw: over anything later in the list, failures included


@dataclass(frozen=True, slots=True)
class Pool:
    """One problem's answers as the draws see them.

    `tiers[k]` is the speed tier of passing answer k (0 = fastest, never decreasing); answers `len(tiers)` up to
    `size - 1` failed. `decided` holds (quick, slow) positions, both passing.
    """

    tiers: tuple[int, ...]
    size: int
    decided: tuple[tuple[int, int], ...]

    @property
    def passing(self) -> int:
        return len(self.tiers)

    @property
    def failing(self) -> range:
        return range(self.passing, self.size)


def build_pool(row: MergedRow, keep: Collection[int]) -> tuple[Pool, list[int]]:
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
    decided = tuple(
        (position[pair.quick], position[pair.slow])
        for pair in row.decided
        if pair.quick in position and pair.slow in position
    )
    return Pool(tuple(tiers), len(order), decided), order


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
        return rng.choice(pool.decided)
    if task is Task.PVF:
        return rng.randrange(pool.passing), rng.choice(pool.failing)
    if task is Task.QVS_RELEASED:
        chosen = rng.randrange(pool.passing - 1)
        return chosen, rng.randrange(chosen + 1, pool.size)
    worse: dict[int, list[int]] = {k: list(pool.failing) for k in range(pool.passing)}
    for quick, slow in pool.decided:
        worse[quick].append(slow)
    chosen = rng.choice([k for k, others in worse.items() if others])
    return chosen, rng.choice(worse[chosen])


def lacks(pool: Pool, task: Task | None) -> str:
    """Why a problem can't give a pair of this kind (or, for None, an answer to imitate); empty if it can."""
    if pool.passing == 0:
        return "no passing answer"
    if task is Task.QVS and not pool.decided:
        return "no decided pair"
    if task is Task.PVF and not pool.failing:
        return "no failing answer"
    if task is Task.ALL and not pool.decided and not pool.failing:
        return "neither a decided pair nor a failing answer"
    if task is Task.QVS_RELEASED and pool.passing < 2:
        return "fewer than two passing answers"
    return ""
