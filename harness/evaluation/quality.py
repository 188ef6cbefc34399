"""How good the measuring behind an evaluation was. Pure.

Solutions whose time is not believed are in the counts here, by flag; they are in no figure of speed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.evaluation.tally import Board, Tally
from harness.metrics.aa import aa_log_ratios
from harness.metrics.figure import Better, Figure, geometric_mean_figure, share_figure
from harness.records import Decision, ProblemLabels

# Upper edges of the histogram of label interval widths, as shares of the run time; the last bin is open.
WIDTH_EDGES = (0.005, 0.01, 0.02, 0.05, 0.10)


@dataclass(frozen=True, slots=True)
class AaCheck:
    """The base against itself: its even samples over its odd ones, timed in the same blocks as everything else."""

    speedup: Figure  # geometric mean; should be 1
    holds: bool | None  # its interval contains 1; None: it has none. One evaluation in 20 misses it by chance


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """How good the measuring itself was."""

    problems: int  # with labels
    solutions: int
    decisions: dict[str, int]  # pairs of passing solutions by what could be said: quick, same, undecided
    undecided: Figure  # share of pairs
    interval_width: Figure  # median of (high - low) / run time over the solutions' 99% intervals
    width_histogram: list[int]  # solutions per bin of WIDTH_EDGES
    flags: dict[str, int]  # solutions by flag
    contaminated: Figure  # share of blocks in which the machine was disturbed
    aa: AaCheck | None = None
    internal: Figure | None = None  # share of all models' samples that came to nothing through a fault of ours
    weak_integrity: Figure | None = None  # share of all models' judged samples


def label_quality(
    labels: Sequence[ProblemLabels], blocks: tuple[int, int] | None, board: Board, base: str, seed: int
) -> LabelQuality:
    decisions = Counter(str(comparison.decision) for known in labels for comparison in known.comparisons)
    undecided = decisions[str(Decision.UNDECIDED)]
    solutions = [label for known in labels for label in known.labels]
    widths = [(label.high_ns - label.low_ns) / label.runtime_ns for label in solutions if label.runtime_ns > 0]
    histogram = Counter(sum(width > edge for edge in WIDTH_EDGES) for width in widths)
    reason = "" if widths else "no solution was measured"
    contaminated, total = blocks or (0, 0)
    tallies = [tally for own in board.models.values() for tally in own.values()]
    internal, judged = sum(tally.internal for tally in tallies), sum(tally.judged for tally in tallies)
    weak = sum(tally.weak for tally in tallies)
    return LabelQuality(
        problems=len(labels),
        solutions=len(solutions),
        decisions=dict(sorted(decisions.items())),
        undecided=share_figure(undecided, decisions.total(), "pairs", Better.DOWN, missing="no pair was compared"),
        interval_width=Figure(
            median(widths) if widths else None, None, None, len(widths), "solutions", Better.DOWN, reason
        ),
        width_histogram=[histogram[bin_] for bin_ in range(len(WIDTH_EDGES) + 1)],
        flags=dict(sorted(Counter(flag for label in solutions for flag in label.flags).items())),
        contaminated=share_figure(contaminated, total, "blocks", Better.DOWN, missing="blocks were not counted"),
        aa=_aa(board.models[base], seed),
        internal=share_figure(internal, internal + judged, "samples", Better.DOWN, missing="no samples were run"),
        weak_integrity=share_figure(weak, judged, "samples", Better.DOWN, missing="no judged samples"),
    )


def _aa(tallies: Mapping[str, Tally], seed: int) -> AaCheck:
    logs = aa_log_ratios({task_id: tally.times for task_id, tally in tallies.items()})
    missing = "no problem has run times of even and of odd samples"
    figure = geometric_mean_figure(logs, Better.NEITHER, seed=seed, missing=missing)
    if figure.low is None or figure.high is None:
        return AaCheck(figure, None)
    return AaCheck(figure, figure.low <= 1.0 <= figure.high)
