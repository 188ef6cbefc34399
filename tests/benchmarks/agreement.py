"""Our verdicts beside what others say of the same solutions, with every difference by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox import Execution, Integrity
from tests.benchmarks.work import Work


@dataclass(frozen=True, slots=True)
class Difference:
    """A solution that others and we judge differently."""

    task_id: str
    index: int
    theirs: str
    ours: str
    message: str


@dataclass(frozen=True, slots=True)
class SetResult:
    """One set of solutions. `weak`: runs whose test could not be split; `weak_problems`: problems with such a run."""

    name: str
    shows: str
    runs: int
    agreeing: int
    passed: int
    integrity: dict[str, int]
    verdicts: dict[str, int]
    problems: int
    weak_problems: dict[str, str]  # task_id → why
    differences: tuple[Difference, ...]


def judged_set(name: str, shows: str, works: Sequence[Work], executions: Sequence[Execution]) -> SetResult:
    """Executions in the order of the works."""
    pairs = list(zip(works, executions, strict=True))
    differences = tuple(
        Difference(
            work.task_id,
            work.index,
            "passed" if work.label else "failed",
            str(one.verdict),
            one.message[:300] or one.output_head[:100],
        )
        for work, one in pairs
        if one.passed != work.label
    )
    return SetResult(
        name=name,
        shows=shows,
        runs=len(pairs),
        agreeing=len(pairs) - len(differences),
        passed=sum(one.passed for one in executions),
        integrity=dict(Counter(str(one.integrity) for one in executions)),
        verdicts=dict(Counter(str(one.verdict) for one in executions).most_common()),
        problems=len({work.task_id for work in works}),
        weak_problems={work.task_id: one.weak_reason for work, one in pairs if one.integrity is Integrity.WEAK},
        differences=differences,
    )
