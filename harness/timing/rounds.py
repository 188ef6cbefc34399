"""What to measure next: which round of a problem, and which of its solutions. Pure.

1. Screening: every solution in each of the first `min_rounds` rounds.
2. Further screening rounds for the pairs that more rounds could still decide, and only their solutions, up to
   `max_rounds` rounds of a pair or until the problem has used up its time.
3. Confirmation (rounds from CONFIRM_FROM): the solutions of decided pairs are measured again, later.

Contaminated rounds count for nothing and are repeated under a new number, up to `tries` times as many as are wanted in
all; MAX_TRIES times as many once the run has used up its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.records import Comparison, Decision, MeasurementBlock
from harness.timing.decisions import CONFIRM_FROM, DecisionSettings, decide, solution_flags, spoilt

MAX_TRIES = 4


@dataclass(frozen=True, slots=True)
class Step:
    """The next round of a problem and the solutions to measure in it, sorted."""

    round: int
    solution_ids: tuple[str, ...]

    @property
    def confirms(self) -> bool:
        return self.round >= CONFIRM_FROM


def next_step(
    blocks: Sequence[MeasurementBlock],
    solution_ids: Iterable[str],
    settings: DecisionSettings | None = None,
    *,
    hurry: bool = False,
    tries: int = MAX_TRIES,
) -> Step | None:
    """The next step of the problem that these solutions and the blocks so far belong to; None: it is done.

    hurry: no further rounds for the sake of close pairs (the run has used up its time). tries: how many times as many
    rounds as are wanted may be spent while there is time, in screening and in confirmation.
    """
    tries = min(tries, MAX_TRIES) if hurry else tries
    settings = settings or DecisionSettings()
    flags = solution_flags(blocks)
    wanted = {one for one in solution_ids if not spoilt(flags.get(one, ()))}
    screening = [block for block in blocks if block.round < CONFIRM_FROM]
    number = max((block.round for block in screening), default=-1) + 1
    tries_left = len(screening) < tries * settings.max_rounds
    if len(_clean(screening)) < settings.min_rounds:
        return Step(number, tuple(sorted(wanted))) if wanted and tries_left else None
    found = decide(screening, replace(settings, confirm_rounds=0)).comparisons
    if not hurry and tries_left and used_seconds(screening) < settings.seconds_per_solution * len(wanted):
        unsettled = [pair for pair in found if _could_be_decided(pair, settings) and pair_ids(pair) <= wanted]
        if unsettled:
            return Step(number, _ids(unsettled))
    return _confirmation(blocks, found, settings, tries)


def _confirmation(
    blocks: Sequence[MeasurementBlock], found: Iterable[Comparison], settings: DecisionSettings, tries: int
) -> Step | None:
    confirming = [block for block in blocks if block.round >= CONFIRM_FROM]
    if len(confirming) >= tries * settings.confirm_rounds:
        return None
    timed = [{one.solution_id for one in block.solutions if one.cpu_ns} for block in _clean(confirming)]
    unconfirmed = [
        pair
        for pair in found
        if pair.decision is Decision.QUICK and sum(pair_ids(pair) <= ids for ids in timed) < settings.confirm_rounds
    ]
    number = max((block.round for block in confirming), default=CONFIRM_FROM - 1) + 1
    return Step(number, _ids(unconfirmed)) if unconfirmed else None


def used_seconds(blocks: Iterable[MeasurementBlock]) -> float:
    """Core-seconds that these blocks took, contaminated ones included."""
    return sum(block.seconds for block in blocks)


def pair_ids(pair: Comparison) -> set[str]:
    return {pair.quick_id, pair.slow_id}


def _could_be_decided(pair: Comparison, settings: DecisionSettings) -> bool:
    """Whether another round could make a quick/slow pair of it: its ratio may still reach `min_ratio`."""
    undecided = pair.decision is Decision.UNDECIDED and 0 < pair.rounds < settings.max_rounds
    return undecided and pair.high >= settings.min_ratio


def _ids(pairs: Iterable[Comparison]) -> tuple[str, ...]:
    return tuple(sorted({one for pair in pairs for one in pair_ids(pair)}))


def _clean(blocks: Iterable[MeasurementBlock]) -> list[MeasurementBlock]:
    return [block for block in blocks if not block.contaminated]
