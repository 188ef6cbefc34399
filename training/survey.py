"""What merged rows have for a training run, before anything is tokenised: usable problems and pairs, and why not more.

Pure, but for the rows, which are read one at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.errors import UserError
from harness.records import MergedRow, QuickSlow
from training.config import TrainConfig
from training.selection import ANY_PAIR, PairRule, Task, build_pool, lacks


@dataclass(frozen=True, slots=True)
class PairsLeft:
    """How many decided pairs are left once a condition is met too, and in how many problems."""

    condition: str
    pairs: int
    problems: int

    def __str__(self) -> str:
        return f"{self.pairs} pairs in {self.problems} problems"


@dataclass(frozen=True, slots=True)
class Survey:
    """A split before it is tokenised (`max_length` may leave out more)."""

    problems: int  # usable
    left_out: dict[str, int]  # reason -> problems
    pairs: tuple[PairsLeft, ...]  # each condition on top of those before; empty where no decided pairs are drawn


def conditions(rule: PairRule) -> list[tuple[str, PairRule]]:
    """The rule's conditions one after the other, each with those before it."""
    steps = [("decided", ANY_PAIR)]
    if rule.confirmed:
        steps.append(("confirmed", PairRule(min_ratio=0)))
    if rule.min_ratio > 0:
        steps.append((f"ratio surely at least {rule.min_ratio:g}", PairRule(rule.confirmed, rule.min_ratio)))
    if rule != steps[-1][1]:
        steps.append(("of any weight", rule))
    return steps


def survey(rows: Iterable[MergedRow], config: TrainConfig) -> Survey:
    """Count what a run with these settings can use of the rows."""
    left_out: Counter[str] = Counter()
    problems = 0
    shown = conditions(config.rule) if config.draws in (Task.QVS, Task.ALL) else []
    counts = [Counter[str]() for _ in shown]
    for row in rows:
        reason = lacks(build_pool(row, range(len(row.answers)), config.rule)[0], config.draws)
        problems += not reason
        if reason:
            left_out[reason] += 1
        for count, (_, rule) in zip(counts, shown, strict=True):
            kept = _admitted(row.decided, rule)
            count.update(pairs=kept, problems=kept > 0)
    left = [PairsLeft(name, count["pairs"], count["problems"]) for (name, _), count in zip(shown, counts, strict=True)]
    return Survey(problems, dict(left_out), tuple(left))


def _admitted(pairs: Sequence[QuickSlow], rule: PairRule) -> int:
    return sum(rule.admits(pair) for pair in pairs)


def why_no_pairs(pairs: Sequence[PairsLeft]) -> tuple[str, str]:
    """(what, fix) where a condition leaves no decided pair of those that there are; two empty texts otherwise."""
    if not pairs or not pairs[0].pairs or pairs[-1].pairs:
        return "", ""
    before, left = next((a, b) for a, b in pairwise(pairs) if not b.pairs)
    if left.condition == "confirmed":
        what = f"{before} are decided, but none is confirmed: their order was not seen again in later rounds"
        return what, "let `annotate` finish (without --timing_seconds, with --timing blocks), or use --confirmed false"
    fix = "a lower --min_ratio" if "ratio" in left.condition else "--weigh_by none"
    return f"{before} are {before.condition}, but none is {left.condition}", f"{fix}, or longer timing"


def nothing_to_train_on(found: Survey, where: str) -> UserError:
    """The error for a split without a usable problem: why, and what to do about it."""
    what, fix = why_no_pairs(found.pairs)
    reasons = what or ", ".join(f"{count} problems: {reason}" for reason, count in found.left_out.items())
    return UserError(
        f"no problem can be trained on ({reasons or 'the file is empty'})",
        where=where,
        fix=fix or "sample more (--n_seq, --temp), or choose another --task",
    )
