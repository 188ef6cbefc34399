"""eff@k: the efficiency expected of the best of k samples (ENAMEL, Qiu et al. 2024, arXiv 2406.06647).

A sample that is wrong has efficiency 0. One that is right loses by its slowness, up to a time limit of ALPHA times the
reference's, where it has nothing left. Reference run times: `harness.metrics.reference`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

ALPHA = 2.0  # the time limit, in longest reference run times


def efficiency(
    times: Sequence[float | None], references: Sequence[float], hardness: Sequence[float], *, alpha: float = ALPHA
) -> float:
    """A right solution's e = Σ h·f / Σ h over levels of difficulty, f = max(0, T - t) / (T - t_ref).

    times: the longest run time on each level, None where the time limit was not kept; references: the same of the
    reference; hardness: the levels' weights h ≥ 0, not all of them 0. T is `alpha` > 1 times the longest reference
    among levels with weight. At most 1, unless it is quicker than the reference.
    """
    if not len(times) == len(references) == len(hardness):
        raise ValueError("times, references and hardness must be of one length")
    if alpha <= 1 or min(hardness) < 0 or sum(hardness) == 0 or min(references) <= 0:
        raise ValueError("alpha must exceed 1, references 0, and hardness be some weight")
    limit = alpha * max(one for one, weight in zip(references, hardness, strict=True) if weight)
    gained = [
        weight * max(0.0, limit - time) / (limit - reference) if time is not None and weight else 0.0
        for time, reference, weight in zip(times, references, hardness, strict=True)
    ]
    return math.fsum(gained) / math.fsum(hardness)


def eff_at_k(scores: Sequence[float], k: int) -> float | None:
    """The mean over all choices of k of the n samples of the highest score among them; None for fewer than k samples.

    Σ C(r-1, k-1)/C(n, k) · e_(r) over r = k … n with the scores e ascending (their Rao-Blackwellised estimator): e_(r)
    is the highest of the choices that hold it and k - 1 of the r - 1 below it. With scores 0 and 1 this is pass@k.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    ordered, n = sorted(scores), len(scores)
    if n < k:
        return None
    choices = math.comb(n, k)
    return math.fsum(math.comb(rank - 1, k - 1) / choices * ordered[rank - 1] for rank in range(k, n + 1))
