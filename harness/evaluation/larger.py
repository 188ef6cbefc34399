"""Models on larger inputs (stress.jsonl): what is left of a speed-up where algorithms show. Pure.

Solutions are compared in pairs, one of each model, at the largest size that both have answered; the slower of two may
have stopped early, so no size is common to all. Beside it stands the same pairs' ratio on the problem's own calls, so
that the two figures differ by the inputs alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.metrics.figure import Better, Figure, geometric_mean_figure
from harness.metrics.speedup import is_notable
from harness.records import ExecutionRow, ProblemLabels
from harness.stress.records import StressResult
from harness.timing.decisions import spoilt

NO_PAIRS = "no two of their solutions were timed on larger inputs"

# By (solution, other): ln(time of it / time of the other) on larger inputs, and on the problem's own calls.
Ratios = dict[tuple[str, str], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class OnLarger:
    """One model. passing: its passing samples on problems that have larger inputs; small_only: of these, samples whose
    solution contradicts nearly all others there, and so does what the problem's own test looks at, and not the task."""

    passing: int
    small_only: int


@dataclass(frozen=True, slots=True)
class LargerDifference:
    """One model against the base, base over model: > 1 is faster. own: the same pairs of solutions on the problems' own
    calls. faster, slower: problems from 1.10 and from 1/1.10 on, on larger inputs."""

    speedup: Figure
    own: Figure
    faster: int
    slower: int


class Larger:
    """The figures of an evaluation's models on larger inputs. results: none where `stress` was not run."""

    def __init__(
        self,
        results: Iterable[StressResult],
        executions: Iterable[ExecutionRow],
        labels: Mapping[str, ProblemLabels],
        seed: int,
    ) -> None:
        self._results = {result.task_id: result for result in results if not result.why}
        self._ratios = {task_id: _ratios(result, labels.get(task_id)) for task_id, result in self._results.items()}
        self._seed = seed
        self._passing: dict[tuple[str, str], list[str]] = {}  # (model, task_id) → solution of each passing sample
        for row in {row.key: row for row in executions}.values():
            if row.verdict == "PASSED" and row.task_id in self._results:
                self._passing.setdefault((row.model, row.task_id), []).append(row.solution_id)

    def of_model(self, model: str) -> OnLarger | None:
        if not self._results:
            return None
        passing = {task_id: self._passing.get((model, task_id), []) for task_id in self._results}
        small_only = sum(one in self._results[task].dissenters for task, own in passing.items() for one in own)
        return OnLarger(sum(map(len, passing.values())), small_only)

    def difference(self, base: str, model: str) -> LargerDifference | None:
        if not self._results:
            return None
        larger: dict[str, float] = {}
        own: dict[str, float] = {}
        for task_id, ratios in self._ratios.items():
            old, new = (self._passing.get((one, task_id), []) for one in (base, model))
            known = [ratios[pair] for over in old for under in new if (pair := (over, under)) in ratios]
            if known:
                larger[task_id], own[task_id] = (math.fsum(column) / len(known) for column in zip(*known, strict=True))
        speedup, own_speedup = (
            geometric_mean_figure(logs, Better.UP, seed=self._seed, missing=NO_PAIRS) for logs in (larger, own)
        )
        return LargerDifference(
            speedup=speedup,
            own=own_speedup,
            faster=sum(is_notable(value) for value in larger.values()),
            slower=sum(is_notable(-value) for value in larger.values()),
        )


def _ratios(result: StressResult, labels: ProblemLabels | None) -> Ratios:
    """Both ways round, and of each solution with itself. Without solutions whose time is not believed on either."""
    flags: list[tuple[str, Sequence[str]]] = [(one.solution_id, one.flags) for one in result.solutions]
    flags += [(label.solution_id, label.flags) for label in labels.labels] if labels else []
    disbelieved = {solution_id for solution_id, own in flags if spoilt(own)}
    found: Ratios = {(one.solution_id,) * 2: (0.0, 0.0) for one in result.solutions if one.sizes and one.base_ns}
    for pair in result.pairs:
        if pair.base_ratio is not None:
            larger, own = math.log(pair.ratio), math.log(pair.base_ratio)
            found[pair.slow_id, pair.quick_id] = (larger, own)
            found[pair.quick_id, pair.slow_id] = (-larger, -own)
    return {pair: logs for pair, logs in found.items() if not disbelieved & set(pair)}
