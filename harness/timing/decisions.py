"""The decision for every pair of a problem's solutions: quick/slow, same, or undecided.

A pair is decided when the median ratio is at least `min_ratio`, the 99% interval lies above `ratio_floor`, and the
pair is among Benjamini-Hochberg's discoveries over the problem's pairs. Rounds are looked at as they come (5 to 16
looks), which raises the chance that a ratio just under the floor passes for one above it; that the *order* is wrong
would take an error of the whole floor as well: the simulation in tests/unit/test_timing_decisions.py bounds that.

Confirmation: blocks whose round is CONFIRM_FROM or more are a second, later measurement. They never help to decide a
pair; where there are any (or `confirm_rounds` asks for them), a decided pair must be seen again in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records import Comparison, Decision, MeasurementBlock, ProblemLabels, RuntimeLabel
from harness.timing.statistics import (
    WIDEST,
    Bools,
    Estimates,
    Floats,
    benjamini_hochberg,
    estimate,
    log_first_times,
    log_times,
    p_values,
    pair_indices,
    paired_log_ratios,
)

CONFIRM_FROM = 1000  # rounds from here on confirm
CONFIRM_CONFIDENCE = 0.90  # of the second look alone, whose direction is given: 95% on its one side
CALLS_DIFFER = "calls_differ"
MEMOISES = "memoises"
# And `failed:…`, `not_timed:…`. Threads and children may have had work that the process clock did not show.
SPOILING_FLAGS = frozenset({"results_differ", "judged_dearer", "waits", "threads", "children", "weak", CALLS_DIFFER})


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """Ratios are slow/quick. `confirm_rounds` 0: a decision needs no confirmation (one that is there counts).

    seconds_per_solution: core-seconds of a problem's screening, by its number of solutions, after which close pairs
    get no further rounds. least_first_ns: first passes below it say nothing; see `decide`.
    """

    min_rounds: int = 5
    max_rounds: int = 16
    min_ratio: float = 1.10
    ratio_floor: float = 1.05
    same_band: float = 0.05
    confidence: float = 0.99
    fdr: float = 0.01
    sd_floor: float = 0.01  # least standard deviation of log-ratios across rounds
    confirm_rounds: int = 5
    seconds_per_solution: float = 0.3
    least_first_ns: float = 50_000.0


def decide(blocks: Sequence[MeasurementBlock], settings: DecisionSettings | None = None) -> ProblemLabels:
    """Labels and comparisons of one problem from all its blocks (contaminated ones are left out of every number).

    Solutions that are flagged (`results_differ`, `failed:...`, calls unlike the others') keep a label with the flag and
    are compared with nobody. One that `memoises` does its work in the first pass only: its label and its pairs are of
    the first passes of freshly loaded programs, its own and the other's, where both take `least_first_ns`. A solution
    without a single timing has no label. Raises ValueError for no blocks, or blocks of several problems.
    """
    settings = settings or DecisionSettings()
    tasks = {block.task_id for block in blocks}
    if len(tasks) != 1:
        raise ValueError(f"blocks of one problem wanted, got {sorted(tasks)}")
    flags = solution_flags(blocks)
    clean = _usable(blocks) + _usable(blocks, confirming=True)
    ids = sorted(flags)
    memoise = np.array([MEMOISES in flags[one] for one in ids], dtype=np.bool_)
    times, firsts = log_times(clean, ids), log_first_times(clean, ids)
    own_times = np.where(memoise[:, None], firsts, times)
    own = estimate(own_times, confidence=settings.confidence, sd_floor=settings.sd_floor)
    timed = [i for i in np.lexsort((np.arange(len(ids)), own.median)) if own.rounds[i] > 0]  # fastest first
    ids = [ids[i] for i in timed]
    first, second = pair_indices(len(ids))
    firsts = np.where(firsts < np.log(settings.least_first_ns), np.nan, firsts)
    ratios = np.where(
        (memoise[timed][first] | memoise[timed][second])[:, None],
        paired_log_ratios(firsts[timed], first, second),
        paired_log_ratios(times[timed], first, second),
    )
    comparisons = _compare(ids, ratios, len(_usable(blocks)), {i for i in ids if spoilt(flags[i])}, settings)
    tiers = _tiers(ids, comparisons)
    labels = [
        RuntimeLabel(
            solution_id=solution_id,
            runtime_ns=float(np.exp(own.median[i])),
            low_ns=float(np.exp(own.low[i])),
            high_ns=float(np.exp(own.high[i])),
            rounds=int(own.rounds[i]),
            tier=tiers[solution_id],
            flags=flags[solution_id],
        )
        for i, solution_id in zip(timed, ids, strict=True)
    ]
    return ProblemLabels(tasks.pop(), labels, comparisons)


def spoilt(flags: Iterable[str]) -> bool:
    """Whether a solution with these flags must not be compared with others."""
    return any(flag in SPOILING_FLAGS or flag.startswith(("failed:", "not_timed:")) for flag in flags)


def solution_flags(blocks: Sequence[MeasurementBlock]) -> dict[str, list[str]]:
    """Every solution's flags over all blocks, sorted; with `calls_differ` where it was called unlike most others.

    One `memoises` if most of its blocks with first passes say so. On the calls each solution has one voice: its (calls,
    digest). One that was called differently from block to block, or is outside the most frequent group, is marked;
    where two groups are equally large nobody knows which is right and all are.
    """
    flags: dict[str, set[str]] = {}
    memoised: dict[str, list[bool]] = {}
    called: dict[str, set[tuple[int, str]]] = {}
    for block in blocks:
        for timing in block.solutions:
            flags.setdefault(timing.solution_id, set()).update(timing.flags)
            if timing.first_ns and not block.contaminated:
                memoised.setdefault(timing.solution_id, []).append(MEMOISES in timing.flags)
            if timing.cpu_ns:
                called.setdefault(timing.solution_id, set()).add((timing.calls, timing.calls_digest))
    for solution_id, seen in memoised.items():
        if 2 * sum(seen) <= len(seen):  # a first pass is a single short one, and a cold one: now and then it is slow
            flags[solution_id].discard(MEMOISES)
    votes = Counter(next(iter(ways)) for ways in called.values() if len(ways) == 1)
    leaders = votes.most_common(2)
    tie = len(leaders) == 2 and leaders[0][1] == leaders[1][1]
    accepted = {leaders[0][0]} if leaders and not tie else set()
    for solution_id, ways in called.items():
        if ways != accepted:
            flags[solution_id].add(CALLS_DIFFER)
    return {solution_id: sorted(marks) for solution_id, marks in flags.items()}


def _usable(blocks: Sequence[MeasurementBlock], *, confirming: bool = False) -> list[MeasurementBlock]:
    """Uncontaminated blocks in order of rounds, so that sums round alike whatever order the file has."""
    usable = [block for block in blocks if not block.contaminated and (block.round >= CONFIRM_FROM) == confirming]
    return sorted(usable, key=lambda block: block.round)


def _compare(
    ids: Sequence[str], ratios: Floats, screened: int, left_out: set[str], settings: DecisionSettings
) -> list[Comparison]:
    """Every pair of `ids` (fastest first). Columns of `ratios` from `screened` on are confirmation rounds."""
    first, second = pair_indices(len(ids))
    pooled = estimate(ratios, confidence=settings.confidence, sd_floor=settings.sd_floor)
    compared = np.array([not left_out & {ids[i], ids[j]} for i, j in zip(first, second, strict=True)], dtype=np.bool_)
    decided = _decided(ratios, pooled, screened, compared, settings)
    confirmed = decided & (~np.isnan(ratios[:, screened:])).any(axis=1)  # else it would not be decided
    band = np.log1p(settings.same_band)
    same = compared & ~decided & (pooled.rounds >= settings.min_rounds) & (pooled.low > -band) & (pooled.high < band)
    absent = pooled.rounds == 0  # never in one round together: nothing is known but that nothing is known
    sign = np.where(pooled.median < 0, -1.0, 1.0)
    median = np.exp(np.where(absent, 0.0, np.abs(pooled.median)))
    low = np.exp(np.where(absent, -WIDEST, np.where(sign < 0, -pooled.high, pooled.low)))
    high = np.exp(np.where(absent, WIDEST, np.where(sign < 0, -pooled.low, pooled.high)))
    verdicts = np.where(decided, 2, np.where(same, 1, 0)).tolist()
    columns = (first, second, sign < 0, median, low, high, pooled.rounds, confirmed)
    return [
        Comparison(
            quick_id=ids[j] if swapped else ids[i],
            slow_id=ids[i] if swapped else ids[j],
            ratio=ratio,
            low=least,
            high=most,
            rounds=rounds,
            decision=_DECISIONS[verdict],
            confirmed=seen_again,
        )
        for verdict, i, j, swapped, ratio, least, most, rounds, seen_again in zip(
            verdicts, *(column.tolist() for column in columns), strict=True
        )
    ]


_DECISIONS = (Decision.UNDECIDED, Decision.SAME, Decision.QUICK)


def _decided(ratios: Floats, pooled: Estimates, screened: int, compared: Bools, settings: DecisionSettings) -> Bools:
    """Which pairs' order is decided. Row order is by run time, so a decided pair must have a positive log-ratio."""
    screen = estimate(ratios[:, :screened], confidence=settings.confidence, sd_floor=settings.sd_floor)
    floor = np.log(settings.ratio_floor)
    decided = np.zeros(len(ratios), dtype=np.bool_)
    tested = compared & (screen.rounds >= settings.min_rounds)
    decided[tested] = benjamini_hochberg(p_values(screen, floor)[tested], settings.fdr)
    for looked_at in (screen, pooled):
        # The median of a pair's ratios may in theory contradict the order of the medians: then it isn't decided.
        decided &= (looked_at.median >= np.log(settings.min_ratio)) & (looked_at.low > floor)
    if ratios.shape[1] > screened or settings.confirm_rounds > 0:
        again = estimate(ratios[:, screened:], confidence=CONFIRM_CONFIDENCE, sd_floor=settings.sd_floor)
        decided &= (again.rounds >= settings.confirm_rounds) & (again.median >= floor) & (again.low > 0.0)
    return decided


def _tiers(ids: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, int]:
    """A total preorder along the run times (`ids`, fastest first) in which every decided pair lies in different tiers.

    A tier ends where the next solution is decided to be slower than one of its members. Among tiers that are stretches
    of the run-time order there can be no fewer: each cut is forced by a decided pair that begins after the cut before.
    """
    faster: dict[str, set[str]] = {solution_id: set() for solution_id in ids}
    for comparison in comparisons:
        if comparison.decision is Decision.QUICK:
            faster[comparison.slow_id].add(comparison.quick_id)
    tiers: dict[str, int] = {}
    tier, members = 0, set[str]()
    for solution_id in ids:
        if faster[solution_id] & members:
            tier, members = tier + 1, set()
        members.add(solution_id)
        tiers[solution_id] = tier
    return tiers
