"""pass@k: the chance that at least one of k samples is correct (Chen et al. 2021, the unbiased estimator)."""

from __future__ import annotations

import math


def pass_at_k(n: int, c: int, k: int) -> float | None:
    """1 - C(n-c, k)/C(n, k) for n samples of which c are correct; None where fewer than k samples were judged.

    The ratio is a product over the correct samples, summed as logarithms: exact to rounding for small answers too. The
    published helper answers 1.0 for n < k even with nothing correct; here such a problem has no answer.
    """
    if not 0 <= c <= n:
        raise ValueError(f"{c} correct of {n} samples")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if n < k:
        return None
    if n - c < k:
        return 1.0
    if c == 0:
        return 0.0
    return -math.expm1(math.fsum(math.log1p(-k / i) for i in range(n - c + 1, n + 1)))
