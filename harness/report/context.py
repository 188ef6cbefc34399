"""What a report is told beside the results: where they come from, on which machine, and a few examples to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.records import Comparison, Decision, ExecutionRow, Problem, ProblemLabels, Sample
from harness.stress.records import StressResult


@dataclass(frozen=True, slots=True)
class Example:
    """Two passing solutions of one problem whose order is decided. All text is untrusted. Times in ns."""

    task_id: str
    prompt: str
    quick: str  # completion
    slow: str
    quick_model: str
    slow_model: str
    quick_ns: float
    slow_ns: float
    ratio: float
    low: float  # 99% interval of the ratio
    high: float
    rounds: int


@dataclass(frozen=True, slots=True)
class ReportContext:
    """`facts` and `host` are shown as they are: nested mappings become dotted names."""

    title: str
    data: str
    split: str
    facts: Mapping[str, Any] = field(default_factory=dict)  # settings and facts from the manifest
    host: Mapping[str, Any] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    stress: Sequence[StressResult] = ()  # what larger inputs showed
    warnings: Sequence[str] = ()  # what a reader must know before the figures
    command: str = ""  # what made this report


def pick_examples(
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    executions: Sequence[ExecutionRow],
    labels: Mapping[str, ProblemLabels],
    models: Sequence[str],
    *,
    count: int = 3,
) -> list[Example]:
    """Up to `count` decided pairs of different problems: the trained models' over the base's first, then by ratio.

    `models[0]` is the base. Ratios are taken by their cautious end (the lower end of the interval).
    """
    rank = {model: position for position, model in enumerate(models)}
    writers: dict[tuple[str, str], list[tuple[int, int, Sample]]] = {}
    solution = {row.key: row.solution_id for row in executions if row.verdict == "PASSED"}
    for sample in samples:
        if sample.model in rank and sample.key in solution:
            place = writers.setdefault((sample.task_id, solution[sample.key]), [])
            place.append((rank[sample.model], sample.sample_id, sample))
    found: list[tuple[bool, float, str, Example]] = []
    for problem in problems:
        known = labels.get(problem.task_id)
        for comparison in known.comparisons if known else ():
            if comparison.decision is not Decision.QUICK or known is None:
                continue
            quick = writers.get((problem.task_id, comparison.quick_id))
            slow = writers.get((problem.task_id, comparison.slow_id))
            if quick and slow:
                # The quick one by the last model that wrote it (the most trained), the slow one by the first.
                pair = max(quick, key=lambda entry: entry[:2]), min(slow, key=lambda entry: entry[:2])
                example = _example(problem, known, comparison, pair[0][2], pair[1][2])
                told_apart = pair[0][0] > 0 and pair[1][0] == 0
                found.append((not told_apart, -comparison.low, problem.task_id, example))
    best: dict[str, Example] = {}
    for _, _, task_id, example in sorted(found, key=lambda entry: entry[:3]):
        best.setdefault(task_id, example)
    return list(best.values())[:count]


def _example(problem: Problem, known: ProblemLabels, comparison: Comparison, quick: Sample, slow: Sample) -> Example:
    runtimes = {label.solution_id: label.runtime_ns for label in known.labels}
    return Example(
        task_id=problem.task_id,
        prompt=problem.prompt,
        quick=quick.completion,
        slow=slow.completion,
        quick_model=quick.model,
        slow_model=slow.model,
        quick_ns=runtimes[comparison.quick_id],
        slow_ns=runtimes[comparison.slow_id],
        ratio=comparison.ratio,
        low=comparison.low,
        high=comparison.high,
        rounds=comparison.rounds,
    )
