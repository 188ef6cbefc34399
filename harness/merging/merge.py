"""One problem's samples, verdicts and labels joined into one merged row. Pure.

Samples with the same normalised program are one answer: the first of them in sample order stands for all. An answer
passes or fails only if all its copies did; what passed once and failed once, now or while it was timed, is neither a
sound example nor a sound counter-example and is left out, as is what could not be judged (INTERNAL).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.records import (
    Answer,
    Decision,
    ExecutionRow,
    MergedRow,
    Problem,
    ProblemLabels,
    QuickSlow,
    RuntimeLabel,
    Sample,
)
from sandbox import Integrity, Verdict

UNSOUND_FLAG = "results_differ"  # and every `failed:<verdict>`: it was not always right while it was timed


class DropReason(StrEnum):
    """Why a problem has no merged row."""

    NO_SAMPLES = "no_samples"
    NOT_JUDGED = "not_judged"  # samples, but not one verdict that is ours to use
    TOO_FEW_PASSING = "too_few_passing"
    NOT_TIMED = "not_timed"  # enough distinct solutions pass, too few of them have a run time
    TOO_FEW_FAILING = "too_few_failing"


@dataclass(frozen=True, slots=True)
class MergeSettings:
    """Which problems and solutions are kept. Solutions of weak integrity are kept and say so, unless excluded."""

    min_passing: int = 2
    min_failing: int = 1
    exclude_weak: bool = False


@dataclass(frozen=True, slots=True)
class Distinct:
    """One distinct solution: the first sample of it, that sample's execution, and how many samples share it."""

    sample: Sample
    execution: ExecutionRow
    copies: int

    @property
    def solution_id(self) -> str:
        return self.execution.solution_id


@dataclass(frozen=True, slots=True)
class Judged:
    """A problem's samples by what was judged. Lists are in sample order; counts are of samples."""

    passing: list[Distinct]
    failing: list[Distinct]
    unstable: list[Distinct]  # copies of one solution disagree
    unjudged: int  # samples without an execution
    internal: int
    weak_excluded: int


def judge(samples: Iterable[Sample], executions: Iterable[ExecutionRow], settings: MergeSettings) -> Judged:
    """Group samples by solution. Of several executions of one sample the last counts (an INTERNAL one is retried)."""
    by_key = {execution.key: execution for execution in executions}
    groups: dict[str, list[tuple[Sample, ExecutionRow]]] = {}
    unjudged = internal = weak = 0
    for sample in sorted(samples, key=lambda sample: sample.sample_id):
        execution = by_key.get(sample.key)
        if execution is None:
            unjudged += 1
        elif execution.verdict == Verdict.INTERNAL:
            internal += 1
        elif settings.exclude_weak and execution.integrity == Integrity.WEAK:
            weak += 1
        else:
            groups.setdefault(execution.solution_id, []).append((sample, execution))
    judged = Judged([], [], [], unjudged, internal, weak)
    for copies in groups.values():
        passed = {execution.verdict == Verdict.PASSED for _, execution in copies}
        kind = judged.unstable if len(passed) == 2 else judged.passing if True in passed else judged.failing
        kind.append(Distinct(*copies[0], len(copies)))
    return judged


def merge_problem(
    problem: Problem,
    samples: Sequence[Sample],
    executions: Iterable[ExecutionRow],
    labels: ProblemLabels | None,
    settings: MergeSettings | None = None,
) -> MergedRow | DropReason:
    """The problem's merged row: passing answers by (tier, run time), then failing ones in sample order; or why not.

    Passing solutions that have no run time, or that did not always pass while they were timed, are left out.
    """
    settings = settings or MergeSettings()
    if not samples:
        return DropReason.NO_SAMPLES
    return merge_judged(problem, judge(samples, executions, settings), labels, settings)


def merge_judged(
    problem: Problem, judged: Judged, labels: ProblemLabels | None, settings: MergeSettings
) -> MergedRow | DropReason:
    """`merge_problem` from where its samples have been grouped."""
    if not judged.passing and not judged.failing:
        return DropReason.NOT_JUDGED
    if len(judged.passing) < settings.min_passing:
        return DropReason.TOO_FEW_PASSING
    timed = {label.solution_id: label for label in (labels.labels if labels else ()) if sound(label)}
    passing = [(distinct, timed[distinct.solution_id]) for distinct in judged.passing if distinct.solution_id in timed]
    if len(passing) < settings.min_passing:
        return DropReason.NOT_TIMED
    if len(judged.failing) < settings.min_failing:
        return DropReason.TOO_FEW_FAILING
    passing.sort(key=lambda item: (item[1].tier, item[1].runtime_ns, item[0].sample.sample_id))
    answers = [_answer(distinct, label) for distinct, label in passing]
    answers += [_answer(distinct, None) for distinct in judged.failing]
    return MergedRow(
        id=problem.task_id,
        question=problem.prompt,
        entry_point=problem.entry_point,
        answers=answers,
        time=_time([label.runtime_ns for _, label in passing]),
        passing=len(passing),
        decided=_decided([distinct.solution_id for distinct, _ in passing], labels),
    )


def sound(label: RuntimeLabel) -> bool:
    """Whether the solution passed whenever it was run for timing."""
    return not any(flag == UNSOUND_FLAG or flag.startswith("failed:") for flag in label.flags)


def _answer(distinct: Distinct, label: RuntimeLabel | None) -> Answer:
    return Answer(
        text=distinct.sample.completion,
        votes=label.runtime_ns if label else None,
        sample_id=distinct.sample.sample_id,
        solution_id=distinct.solution_id,
        verdict=distinct.execution.verdict,
        integrity=distinct.execution.integrity,
        low_ns=label.low_ns if label else None,
        high_ns=label.high_ns if label else None,
        tier=label.tier if label else None,
        copies=distinct.copies,
    )


def _time(runtimes: Sequence[float]) -> dict[str, float]:
    """The published `time` column over passing answers: mean, sample standard deviation (0 for one), their ratio."""
    average = statistics.fmean(runtimes) if runtimes else 0.0
    spread = statistics.stdev(runtimes) if len(runtimes) > 1 else 0.0
    cov = spread / average if average else 0.0
    return {"count": float(len(runtimes)), "avg": average, "std": spread, "cov": cov}


def _decided(passing: Sequence[str], labels: ProblemLabels | None) -> list[QuickSlow]:
    place = {solution_id: index for index, solution_id in enumerate(passing)}
    decided = [
        QuickSlow(
            quick=place[comparison.quick_id],
            slow=place[comparison.slow_id],
            ratio=comparison.ratio,
            low=comparison.low,
            high=comparison.high,
            rounds=comparison.rounds,
            confirmed=comparison.confirmed,
        )
        for comparison in (labels.comparisons if labels else ())
        if comparison.decision is Decision.QUICK and comparison.quick_id in place and comparison.slow_id in place
    ]
    return sorted(decided, key=lambda pair: (pair.quick, pair.slow))
