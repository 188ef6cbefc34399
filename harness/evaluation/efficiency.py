"""Figures that weigh run time, memory and held-out tests against correctness, by model and between models. Pure.

Per problem first, then the mean over problems, so that a problem with many samples counts as much as one with few.
What the run times are compared with: `harness.metrics.reference`. A passing sample without a run time (it was not
timed, or its timing is not to be compared) is left out; where all of a problem's passing samples are, the problem is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.evaluation.tally import Board, Tally
from harness.metrics.beyond import beyond
from harness.metrics.bootstrap import paired_differences
from harness.metrics.dps import Dps, dps
from harness.metrics.eff_at_k import eff_at_k, efficiency
from harness.metrics.figure import Better, Figure, geometric_mean_figure, mean_figure
from harness.metrics.held_out import held_out_gap
from harness.metrics.joint import expected_time
from harness.metrics.pass_at_k import pass_at_k
from harness.metrics.reference import Reference
from harness.metrics.speedup import log_ratios

Values = dict[str, float]  # by task_id

NO_TIMES = "no problem has run times"
NO_LIMIT = "the time limit is not known"
NO_HELD_OUT = "no problem has a held-out test that was run"


@dataclass(frozen=True, slots=True)
class ModelEfficiency:
    """One model by itself."""

    eff_at_k: dict[str, Figure]  # ENAMEL, by k; 0 to 1
    beyond: Figure  # Mercury; 0 to 1
    dps: Figure  # EvalPerf, over the problems that it solves; 0 to 1
    dps_norm: Figure
    joint_ns: Figure  # expected run time of a sample, failures as the time limit
    memory_bytes: Figure  # mean over problems of the median peak of passing samples, the interpreter's own included
    untimed: int  # passing samples that are left out of all run-time figures
    spoilt: int | None = None  # of these, timed under a flag that says that the time is not true


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One model on the held-out tests. Solutions that pass their own test only count as failures in `pass_at_k`."""

    gap: Figure  # pass rate on own asserts - pass rate on own and held-out
    pass_at_k: dict[str, Figure]  # by k
    passed: int  # samples that pass both
    failed: int  # samples that pass their own test and fail the held-out one
    unjudged: int  # samples that pass their own test and have no held-out verdict; left out of the figures


@dataclass(frozen=True, slots=True)
class EfficiencyDifference:
    """Paired differences, model - base, over the problems that have the figure for both."""

    eff_at_k: dict[str, Figure]
    beyond: Figure
    dps: Figure  # over the problems that both solve
    dps_norm: Figure
    joint_ns: Figure
    memory_ratio: Figure  # geometric mean of model / base over the problems that both solve; < 1 is smaller


@dataclass(frozen=True, slots=True)
class HeldOutDifference:
    """Paired differences, model - base, over the problems with held-out verdicts for both."""

    gap: Figure
    pass_at_k: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class _Measures:
    """One model's figures per problem."""

    eff_at_k: dict[str, Values]
    beyond: Values
    dps: Values
    dps_norm: Values
    joint_ns: Values
    memory: Values
    gap: Values
    held_out: dict[str, Values]


class Efficiency:
    """The figures of an evaluation's models. limit_ns: a run's time limit, for Joint; None: not known."""

    def __init__(self, board: Board, ks: Sequence[int], seed: int, limit_ns: float | None) -> None:
        self._board, self._ks, self._seed, self._limit_ns = board, ks, seed, limit_ns
        self._measures = {model: self._measure(tallies) for model, tallies in board.models.items()}

    def of_model(self, model: str) -> ModelEfficiency:
        found = self._measures[model]
        return ModelEfficiency(
            eff_at_k=self._by_k(found.eff_at_k, NO_TIMES),
            beyond=self._mean(found.beyond, Better.UP, NO_TIMES),
            dps=self._mean(found.dps, Better.UP, NO_TIMES),
            dps_norm=self._mean(found.dps_norm, Better.UP, NO_TIMES),
            joint_ns=self._mean(found.joint_ns, Better.DOWN, NO_TIMES if self._limit_ns else NO_LIMIT),
            memory_bytes=self._mean(found.memory, Better.DOWN, "no problem is solved"),
            untimed=sum(tally.passed - len(tally.times) for tally in self._board.models[model].values()),
            spoilt=sum(tally.spoilt for tally in self._board.models[model].values()),
        )

    def held_out_of(self, model: str) -> HeldOut:
        found, tallies = self._measures[model], [t for t in self._board.models[model].values() if t.has_held_out]
        passed, failed = (sum(tally.held_out[both] for tally in tallies) for both in (True, False))
        return HeldOut(
            gap=self._mean(found.gap, Better.DOWN, NO_HELD_OUT),
            pass_at_k=self._by_k(found.held_out, NO_HELD_OUT),
            passed=passed,
            failed=failed,
            unjudged=sum(tally.passed for tally in tallies) - passed - failed,
        )

    def difference(self, base: str, model: str) -> EfficiencyDifference:
        old, new = self._measures[base], self._measures[model]
        return EfficiencyDifference(
            eff_at_k={k: self._paired(old.eff_at_k[k], new.eff_at_k[k], Better.UP, NO_TIMES) for k in old.eff_at_k},
            beyond=self._paired(old.beyond, new.beyond, Better.UP, NO_TIMES),
            dps=self._paired(old.dps, new.dps, Better.UP, NO_TIMES),
            dps_norm=self._paired(old.dps_norm, new.dps_norm, Better.UP, NO_TIMES),
            joint_ns=self._paired(old.joint_ns, new.joint_ns, Better.DOWN, NO_TIMES if self._limit_ns else NO_LIMIT),
            memory_ratio=geometric_mean_figure(
                log_ratios(new.memory, old.memory), Better.DOWN, seed=self._seed, missing="no problem is solved by both"
            ),
        )

    def held_out_difference(self, base: str, model: str) -> HeldOutDifference:
        old, new = self._measures[base], self._measures[model]
        return HeldOutDifference(
            gap=self._paired(old.gap, new.gap, Better.DOWN, NO_HELD_OUT),
            pass_at_k={k: self._paired(old.held_out[k], new.held_out[k], Better.UP, NO_HELD_OUT) for k in old.held_out},
        )

    def _measure(self, tallies: Mapping[str, Tally]) -> _Measures:
        references = self._board.references

        def eff(k: int) -> Values:
            return _values(tallies, lambda task, tally: _eff_at_k(tally, references.get(task), k))

        def held_out(k: int) -> Values:
            return _values(tallies, lambda _, tally: _held_out_pass(tally, k))

        matched = {t: dps_of_problem(tally, references[t]) for t, tally in tallies.items() if tally.times}
        return _Measures(
            eff_at_k={str(k): eff(k) for k in self._ks},
            beyond=_values(tallies, lambda task, tally: _beyond(tally, references.get(task))),
            dps={task_id: score.dps for task_id, score in matched.items()},
            dps_norm={task_id: score.norm for task_id, score in matched.items()},
            joint_ns=_values(tallies, lambda _, tally: _joint(tally, self._limit_ns)),
            memory=_values(tallies, lambda _, tally: float(median(tally.memory)) if tally.memory else None),
            gap=_values(tallies, lambda _, tally: held_out_gap(*_held_out_counts(tally))),
            held_out={str(k): held_out(k) for k in self._ks},
        )

    def _mean(self, values: Values, better: Better, missing: str) -> Figure:
        return mean_figure(values, better, seed=self._seed, missing=missing)

    def _by_k(self, values: Mapping[str, Values], missing: str) -> dict[str, Figure]:
        return {k: self._mean(own, Better.UP, missing) for k, own in values.items()}

    def _paired(self, old: Values, new: Values, better: Better, missing: str) -> Figure:
        return self._mean(paired_differences(old, new), better, missing)


def dps_of_problem(tally: Tally, reference: Reference) -> Dps:
    """The mean scores of a problem's passing samples, of which at least one has a run time."""
    scores = [dps(time, reference) for time in tally.times.values()]
    return Dps(
        math.fsum(score.dps for score in scores) / len(scores), math.fsum(score.norm for score in scores) / len(scores)
    )


def _values(tallies: Mapping[str, Tally], value: Callable[[str, Tally], float | None]) -> Values:
    return {task: found for task, tally in tallies.items() if (found := value(task, tally)) is not None}


def _said(tally: Tally) -> bool:
    """Whether the problem's run times say anything: it has judged samples, and passing ones are not all untimed."""
    return tally.judged > 0 and (tally.passed == 0 or bool(tally.times))


def _eff_at_k(tally: Tally, reference: Reference | None, k: int) -> float | None:
    if not _said(tally):
        return None
    # A problem's calls are one level: the inputs are not graded by difficulty.
    right = [efficiency([time], [reference.fastest], [1.0]) for time in tally.times.values()] if reference else []
    return eff_at_k([*right, *[0.0] * tally.failed], k)


def _beyond(tally: Tally, reference: Reference | None) -> float | None:
    if not _said(tally):
        return None
    right = [beyond(time, reference) for time in tally.times.values()] if reference else []
    return math.fsum(right) / (len(right) + tally.failed)


def _joint(tally: Tally, limit_ns: float | None) -> float | None:
    return expected_time(list(tally.times.values()), tally.failed, limit_ns) if limit_ns and _said(tally) else None


def _held_out_counts(tally: Tally) -> tuple[int, int, int]:
    """Judged, passing the own test, passing both; nothing where the held-out test is missing or said nothing."""
    own, both = tally.held_out.total(), tally.held_out[True]
    return (tally.failed + own, own, both) if tally.has_held_out and (own or not tally.passed) else (0, 0, 0)


def _held_out_pass(tally: Tally, k: int) -> float | None:
    judged, _, both = _held_out_counts(tally)
    return pass_at_k(judged, both, k) if judged else None
