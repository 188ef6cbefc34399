"""Made-up but lifelike evaluation data: problems, samples of three models, their executions and labels. Seeded."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass

from harness.records import (
    Comparison,
    Decision,
    ExecutionRow,
    FinishReason,
    Problem,
    ProblemLabels,
    RuntimeLabel,
    Sample,
)

MODELS = ("base", "sft-25", "dpo-qvs")

# (completion, run time as a multiple of the problem's own scale), fastest first; all do the same.
WAYS = (
    ("    return sum(value for value in values if value > limit)\n", 0.42),
    ("    return sum([value for value in values if value > limit])\n", 0.47),
    (
        """    total = 0
    for value in values:
        if value > limit:
            total += value
    return total
""",
        0.70,
    ),
    (
        """    total = 0
    for i in range(len(values)):
        if values[i] > limit:
            total = total + values[i]
    return total
""",
        1.0,
    ),
    (
        """    # sort first, then walk down
    total = 0
    for value in sorted(values, reverse=True):
        if value <= limit:
            break
        total += value
    return total
""",
        1.35,
    ),
    (
        """    kept = []
    for value in values:
        if value > limit:
            kept = kept + [value]
    total = 0
    for value in kept:
        total += value
    return total
""",
        2.6,
    ),
)
FAILURES = (
    ("WRONG", "    return sum(values)\n", "AssertionError: expected 12, got 15"),
    ("ERROR", "    return sum(values, limit=limit)\n", "TypeError: sum() got an unexpected keyword argument"),
    ("SYNTAX", "    return sum(value for value in values if value >\n", "invalid syntax"),
    ("TIMEOUT_CPU", "    while True:\n        values = values\n", ""),
    ("EARLY_EXIT", "    import sys\n    sys.exit(0)\n", ""),
)
_FAILURE_WEIGHTS = (60, 22, 10, 6, 2)
# How well each model does, and how much it leans to the fast ways of writing.
_SKILL = {"base": 0.42, "sft-25": 0.45, "dpo-qvs": 0.47}
_LEAN = {"base": (2, 3, 8, 9, 4, 3), "sft-25": (5, 6, 9, 6, 3, 2), "dpo-qvs": (10, 9, 8, 4, 2, 1)}


@dataclass(frozen=True)
class Fabricated:
    problems: list[Problem]
    samples: list[Sample]
    executions: list[ExecutionRow]
    labels: dict[str, ProblemLabels]
    models: tuple[str, ...]


def fabricate(*, problems: int = 60, n_seq: int = 16, models: tuple[str, ...] = MODELS, seed: int = 0) -> Fabricated:
    """`problems` problems, `n_seq` samples of each model on each."""
    made = [_problem(number) for number in range(problems)]
    samples: list[Sample] = []
    executions: list[ExecutionRow] = []
    times: dict[str, dict[str, float]] = defaultdict(dict)
    for problem in made:
        rng = random.Random(f"{seed}:{problem.task_id}")
        difficulty, scale = rng.gauss(0.0, 0.22), 10 ** rng.uniform(3.2, 6.3)
        warp = [rng.lognormvariate(0.0, 0.25) for _ in WAYS]  # which way is fastest differs by problem
        for model in models:
            for sample_id in range(n_seq):
                sample, row, way = _draw(problem, model, sample_id, difficulty, rng)
                samples.append(sample)
                executions.append(row)
                if way is not None:
                    times[problem.task_id][row.solution_id] = scale * WAYS[way][1] * warp[way]
    labels = {task_id: _labels(task_id, found, seed) for task_id, found in times.items()}
    return Fabricated(made, samples, executions, labels, models)


def _problem(number: int) -> Problem:
    prompt = (
        f'def sum_above_{number}(values, limit):\n    """Return the sum of all values that are greater than limit.\n\n'
        f'    >>> sum_above_{number}([1, 5, 7], 4)\n    12\n    """\n'
    )
    name = f"sum_above_{number}"
    return Problem(f"starter/{number:03d}", prompt, "def check(candidate): ...", name, "test", "made up")


def _draw(
    problem: Problem, model: str, sample_id: int, difficulty: float, rng: random.Random
) -> tuple[Sample, ExecutionRow, int | None]:
    skill = _SKILL.get(model, 0.44)
    way = None
    message, reason = "", FinishReason.FUNCTION_END
    if rng.random() < skill + difficulty:
        way = rng.choices(range(len(WAYS)), _LEAN.get(model, _LEAN["base"]))[0]
        verdict, completion, solution = "PASSED", WAYS[way][0], f"way{way:013d}"
    else:
        kind = rng.choices(range(len(FAILURES)), _FAILURE_WEIGHTS)[0]
        verdict, completion, message = FAILURES[kind]
        solution = f"fail{kind:012d}"
        reason = FinishReason.LENGTH if verdict == "SYNTAX" else reason
    if rng.random() < 0.002:
        verdict, way, message = "INTERNAL", None, "the engine went away"
    sample = Sample(problem.task_id, sample_id, model, completion, reason, completion_tokens=len(completion) // 3)
    integrity = "none" if verdict == "INTERNAL" else "weak" if rng.random() < 0.01 else "strong"
    row = ExecutionRow(
        problem.task_id, sample_id, model, solution, verdict, integrity, "", "completed", message,
        cpu_ns=900_000, wall_ns=1_200_000, max_rss_bytes=11_000_000, stdout_bytes=0,
    )  # fmt: skip
    return sample, row, way


def _labels(task_id: str, found: dict[str, float], seed: int) -> ProblemLabels:
    rng = random.Random(f"{seed}:labels:{task_id}")
    ranked = sorted(found.items(), key=lambda item: item[1])
    labels = []
    for tier, (solution_id, runtime) in enumerate(ranked):
        half = runtime * min(0.09, rng.lognormvariate(-4.9, 0.8))
        flags = ["noisy"] if half / runtime > 0.04 else []
        labels.append(RuntimeLabel(solution_id, runtime, runtime - half, runtime + half, 7, tier, flags))
    comparisons = []
    for i, quick in enumerate(labels):
        for slow in labels[i + 1 :]:
            ratio = slow.runtime_ns / quick.runtime_ns
            decision = Decision.QUICK if ratio >= 1.12 else Decision.SAME if ratio < 1.03 else Decision.UNDECIDED
            comparisons.append(
                Comparison(quick.solution_id, slow.solution_id, ratio, ratio * 0.985, ratio * 1.016, 7, decision)
            )
    return ProblemLabels(task_id, labels, comparisons)
