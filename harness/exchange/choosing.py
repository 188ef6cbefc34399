"""Which pairs and answers of a merged row go into a published data set, and as which texts. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.errors import UserError
from harness.merging.pairs import pair_row, pairs_of
from harness.records import Answer, MergedRow, PairKind, PairRow
from training.selection import PairRule, Task

TASKS_WITH_RATIOS = (Task.QVS, Task.ALL)

# (prompt, completion) → (what is given, what is learnt); together they are one text
Rendering = Callable[[str, str], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PairChoice:
    """The pairs that DPO with this `task` and rule may draw. confirmed: only decided pairs whose order was seen again.

    min_ratio: of quick-versus-slow pairs, only those whose interval lies at or above it; None: 1, as in training.
    """

    task: str = Task.QVS
    confirmed: bool = True
    min_ratio: float | None = None

    def __post_init__(self) -> None:
        if self.task not in list(Task):
            raise UserError(f"no task {self.task!r}", where="--task", fix=f"give one of {', '.join(Task)}")
        if self.min_ratio is not None and self.task not in TASKS_WITH_RATIOS:
            fix = "leave it out, or choose --task qvs"
            raise UserError(f"pairs of --task {self.task} have no measured ratio", where="--min_ratio", fix=fix)

    @property
    def rule(self) -> PairRule:
        return PairRule(self.confirmed, 1.0 if self.min_ratio is None else self.min_ratio)


def chosen_pairs(row: MergedRow, choice: PairChoice) -> Iterator[PairRow]:
    """The pairs of a row that `choice` lets through."""
    if choice.task == Task.QVS_RELEASED:
        yield from _released_pairs(row)
        return
    pairs = pairs_of(row)
    for decided, pair in zip(row.decided, pairs, strict=False):  # the decided ones come first
        if choice.task in TASKS_WITH_RATIOS and choice.rule.admits(decided):
            yield pair
    if choice.task != Task.QVS:
        yield from pairs


def _released_pairs(row: MergedRow) -> Iterator[PairRow]:
    """The published draw: every passing answer but the last over everything later in the list, failures included.

    The order of the list is all that speaks for a pair, unless it is also one that is decided.
    """
    sample = [answer.sample_id for answer in row.answers]
    known = {(pair.chosen_sample, pair.rejected_sample): pair for pair in pairs_of(row)}
    for chosen in range(row.passing - 1):
        for rejected in range(chosen + 1, len(row.answers)):
            decided = known.get((sample[chosen], sample[rejected]))
            yield decided or pair_row(row.id, PairKind.QVS, row.answers[chosen], row.answers[rejected], None)


def fastest(row: MergedRow, top_p: float) -> list[Answer]:
    """The answers that SFT may draw: the fastest ceil(top_p · passing / 100), and all of the last one's tier with it.

    Answers of a tier could not be told apart, so none of them is left out for its place in the file.
    """
    if row.passing == 0:
        return []
    places = min(row.passing, max(1, math.ceil(top_p * row.passing / 100)))
    last = row.answers[places - 1].tier
    while last is not None and places < row.passing and row.answers[places].tier == last:
        places += 1
    return row.answers[:places]


def as_they_are(prompt: str, completion: str) -> tuple[str, str]:
    """The rendering without a model."""
    return prompt, completion


def shared_prompt(one: tuple[str, str], other: tuple[str, str]) -> tuple[str, str, str]:
    """Two texts of one problem as (prompt, rest of one, rest of the other), where the shorter of the prompts ends.

    A rendering may put the answer's first indent into the prompt of one text and not of the other.
    """
    (prompt, _), (longer, _) = sorted((one, other), key=lambda text: len(text[0]))
    if not longer.startswith(prompt):
        raise ValueError("texts of different problems")
    rest, other_rest = (text[0][len(prompt) :] + text[1] for text in (one, other))
    return prompt, rest, other_rest


def is_unicode(*texts: str) -> bool:
    """Whether texts can be stored as UTF-8: lone surrogates can't, and training leaves them out, too."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
