"""Which inputs the solutions agree on, and who contradicts. Pure.

Nobody knows the right answer to a made-up input. Where all solutions that passed the problem's own test give the same,
it is taken for right. Where nearly all do, those that don't are taken for wrong: they pass small asserts only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from harness.stress.asking import Answer

LEAST_MAJORITY, LEAST_SHARE = 3, 0.9
LEAST_EXCESS, LEAST_EXCESS_NS = 0.2, 20_000  # noise of asking, as a share of the quickest, and in ns
KEPT, DISAGREE, RAISES = "kept", "disagree", "raises"


@dataclass(frozen=True, slots=True)
class Judged:
    """One input. outcome: KEPT, DISAGREE (no majority that is large enough) or RAISES (half or more say that it is out
    of the function's domain). dissent: solutions that contradict the majority of a kept input, with what they said."""

    outcome: str
    digest: str = ""
    dissent: Mapping[str, str] = field(default_factory=dict)


def judge_input(answers: Mapping[str, Answer]) -> Judged:
    """answers: by solution. Raises ValueError where there are none."""
    if not answers:
        raise ValueError("no answers")
    raising = sum(bool(answer.raised) for answer in answers.values())
    if 2 * raising >= len(answers):
        return Judged(RAISES)
    digests = Counter(answer.digest for answer in answers.values() if not answer.raised)
    digest, votes = digests.most_common(1)[0]
    dissent = {one: answer.raised or answer.digest for one, answer in answers.items() if answer.digest != digest}
    if dissent and (votes < LEAST_MAJORITY or votes < LEAST_SHARE * len(answers)):
        return Judged(DISAGREE)
    return Judged(KEPT, digest, dissent)


def hardest(times: Mapping[str, Sequence[int]], kept: Sequence[int], count: int) -> list[int]:
    """The `count` of the `kept` inputs that take solutions longest, in order of input: early exits show no algorithm.
    Fewer where the others take less than half as long, which would be one.

    times: by solution, ns of every input, what it costs to ask included; so it is what an input takes more than the
    quickest that counts, as a share of the most. A solution for which this is little has no say.
    """
    shares = []
    for own in times.values():
        least = min(own[number] for number in kept)
        most = max(own[number] - least for number in kept)
        if most > max(LEAST_EXCESS * least, LEAST_EXCESS_NS):
            shares.append({number: (own[number] - least) / most for number in kept})
    weight = {number: fmean(own[number] for own in shares) if shares else 1.0 for number in kept}
    hard = [number for number in kept if 2 * weight[number] >= max(weight.values())]
    return sorted(sorted(hard, key=lambda number: (-weight[number], number))[:count])
