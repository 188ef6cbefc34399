"""What differs from round to round, keyed by seed and content: order and hash seed; and when a round is spoilt."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence

from harness.records import MeasurementBlock


def block_order(solution_ids: Sequence[str], round_number: int, seed: int) -> list[str]:
    """The order of a round: random per two rounds, reversed in the odd one, so that drift within a block cancels."""
    ordered = sorted(solution_ids)
    random.Random(f"{seed}:order:{round_number // 2}:{','.join(ordered)}").shuffle(ordered)  # noqa: S311
    return ordered[::-1] if round_number % 2 else ordered


def hash_seed(seed: int, round_number: int) -> int:
    """PYTHONHASHSEED of a round, 1 ... 2**32 - 1 (0 would switch randomisation off). The problems share it: blocks of
    the same seed, one after the other, are forked from one interpreter, whose start would cost more than they do."""
    return random.Random(f"{seed}:hash:{round_number}").randint(1, 2**32 - 1)  # noqa: S311


def contaminated(reference_before: int, reference_after: int, median_reference: float, tolerance: float = 0.15) -> bool:
    """Whether the reference workload, before or after a block, was off its median by more than `tolerance` (a share).

    Raises ValueError for a median that isn't positive: a gate without a reference would let everything through.
    """
    if not median_reference > 0:
        raise ValueError(f"median of the reference workload must be positive, got {median_reference}")
    return any(abs(t - median_reference) > tolerance * median_reference for t in (reference_before, reference_after))


def set_digest(solution_ids: Iterable[str]) -> str:
    """Names a set of solutions, whatever their order."""
    return hashlib.sha256(",".join(sorted(solution_ids)).encode()).hexdigest()[:16]


def current_blocks(blocks: Sequence[MeasurementBlock]) -> list[MeasurementBlock]:
    """One problem's blocks that compare the same set of solutions on the same host as the last one, in file order.

    When solutions are added to a problem (another model's, say) it is measured anew with all of them; so it is where a
    run goes on on another host, whose times say nothing about those of the first. The other blocks stay in the file.
    """
    if not blocks:
        return []
    last = _compared(blocks[-1])
    return [block for block in blocks if _compared(block) == last]


def _compared(block: MeasurementBlock) -> tuple[str, str]:
    return block.of or set_digest(timing.solution_id for timing in block.solutions), block.host
