"""What is to be timed at which size, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.records import Comparison, Decision, ProblemLabels
from harness.stress.growth import fit_growth, fitted_sizes
from harness.stress.records import StressInputs, StressPair, StressResult, StressSize, StressSolution
from harness.timing.decisions import spoilt


@dataclass(frozen=True, slots=True)
class Timed:
    """One size of a problem that is to be timed. decides: it is the largest size that some pair has in common, so
    that pairs are decided there; else it is timed for growth only, a few rounds."""

    size: StressSize
    solution_ids: tuple[str, ...]
    decides: bool


def last_sizes(inputs: StressInputs) -> dict[str, int]:
    """The largest size with accepted answers of each solution that has any. Those that later contradicted are out."""
    gone = {one.solution_id for one in inputs.dissents}
    return {one: size.size for size in inputs.sizes for one in size.solutions if one not in gone}


def timing_plan(inputs: StressInputs) -> list[Timed]:
    """Which sizes to time, and of whom: at the sizes where pairs are decided all that answered, at the others those
    that need them for their growth."""
    last = last_sizes(inputs)
    needed = {
        one: set(fitted_sizes([size.true_size for size in inputs.sizes if one in size.solutions])) for one in last
    }
    plan = []
    for size in inputs.sizes:
        here = [one for one in size.solutions if one in last]
        decides = len(here) > 1 and any(last[one] == size.size for one in here)
        chosen = here if decides else [one for one in here if size.true_size in needed[one]]
        if chosen:
            plan.append(Timed(size, tuple(sorted(chosen)), decides))
    return plan


def timing_id(task_id: str, size: int) -> str:
    """Under which a problem's size stands in stress_measurements.jsonl."""
    return f"{task_id}@{size}"


def result(inputs: StressInputs, base: ProblemLabels | None, labels: Mapping[str, ProblemLabels]) -> StressResult:
    """base: labels on the problem's own calls; labels: by `timing_id`."""
    at_size = {size.size: labels.get(timing_id(inputs.task_id, size.size)) for size in inputs.sizes}
    last = last_sizes(inputs)
    pairs = _pairs(at_size, last, base)
    timed = [size for size, own in at_size.items() if own is not None and len(own.labels) > 1]
    return StressResult(
        task_id=inputs.task_id,
        axis=inputs.axis,
        base_size=inputs.base_size,
        size=max(timed, default=None),
        base_separation=None if base is None else separation([(c.decision, c.ratio) for c in base.comparisons]),
        separation=separation([(pair.decision, pair.ratio) for pair in pairs]) if pairs else None,
        solutions=[_solution(one, inputs, at_size, base) for one in sorted(last)],
        pairs=pairs,
        dissenters=sorted({one.solution_id for one in inputs.dissents}),
        why=inputs.why,
    )


def separation(pairs: Sequence[tuple[str, float]]) -> float:
    """The largest ratio of a decided pair; 1 where none is decided."""
    return max((ratio for decision, ratio in pairs if decision == Decision.QUICK), default=1.0)


def _pairs(
    at_size: Mapping[int, ProblemLabels | None], last: Mapping[str, int], base: ProblemLabels | None
) -> list[StressPair]:
    """Each pair once, at the largest size that both have."""
    before = {frozenset((one.quick_id, one.slow_id)): one for one in base.comparisons} if base else {}
    found = []
    for size, labels in at_size.items():
        for one in labels.comparisons if labels else ():
            if one.rounds and min(last.get(one.quick_id, 0), last.get(one.slow_id, 0)) == size:
                found.append(_pair(one, size, before.get(frozenset((one.quick_id, one.slow_id)))))
    return found


def _pair(one: Comparison, size: int, base: Comparison | None) -> StressPair:
    turned = base is not None and base.quick_id != one.quick_id
    known = base is not None and base.rounds > 0
    return StressPair(
        quick_id=one.quick_id,
        slow_id=one.slow_id,
        size=size,
        ratio=one.ratio,
        low=one.low,
        high=one.high,
        decision=one.decision,
        confirmed=one.confirmed,
        base_ratio=None if base is None or not known else 1 / base.ratio if turned else base.ratio,
        base_decision=None if base is None or not known else _turned(base.decision) if turned else base.decision,
    )


def _turned(decision: Decision) -> Decision:
    return Decision.SLOW if decision is Decision.QUICK else decision


def _solution(
    one: str, inputs: StressInputs, at_size: Mapping[int, ProblemLabels | None], base: ProblemLabels | None
) -> StressSolution:
    sizes, times, flags = [], [], set[str]()
    for size in inputs.sizes:
        labels = at_size[size.size]
        own = next((label for label in labels.labels if label.solution_id == one), None) if labels else None
        if own is not None:
            flags.update(own.flags)
            if not spoilt(own.flags):  # else the time is not true
                sizes.append(size.true_size)
                times.append(own.runtime_ns / len(size.timed))
    growth = fit_growth(list(zip(sizes, times, strict=True)))
    before = next((label for label in base.labels if label.solution_id == one), None) if base else None
    return StressSolution(
        solution_id=one,
        base_ns=before.runtime_ns if before else None,
        sizes=sizes,
        ns=times,
        exponent=growth.exponent if growth else None,
        low=growth.low if growth else None,
        high=growth.high if growth else None,
        laws=list(growth.laws) if growth else [],
        stopped=next((stop.why for stop in inputs.stops if stop.solution_id == one), ""),
        flags=sorted(flags),
    )
