"""What an evaluation found: every figure with what it rests on, its interval and its direction. Pure.

The first model is the base; the others are compared with it, problem by problem. Run times come from labels of
solutions that were measured together, interleaved in the same blocks on the same call list, so that like is divided by
like. INTERNAL verdicts (our fault) and samples that were never run count for nobody: left out of n, counted apart.
Fields with a default are null in results that were written before these were there.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from harness.errors import DataError
from harness.evaluation.efficiency import (
    Efficiency,
    EfficiencyDifference,
    HeldOut,
    HeldOutDifference,
    ModelEfficiency,
)
from harness.evaluation.larger import Larger, LargerDifference, OnLarger
from harness.evaluation.quality import LabelQuality, label_quality
from harness.evaluation.tally import Board, Tally, tally_samples
from harness.metrics.bootstrap import paired_differences
from harness.metrics.figure import Better, Figure, geometric_mean_figure, mean_figure, share_figure
from harness.metrics.pass_at_k import pass_at_k
from harness.metrics.speedup import holm, is_notable, log_ratios, sign_flip_p
from harness.records import SCHEMA_VERSION, ExecutionRow, Problem, ProblemLabels, Sample
from harness.stress.records import StressResult


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model by itself. `samples` = `judged` + `internal` + `unjudged` (no execution row)."""

    name: str
    problems: int  # with at least one judged sample
    samples: int
    judged: int
    internal: int
    unjudged: int
    solved: int  # problems with at least one passing sample
    pass_at_k: dict[str, Figure]  # by k
    verdicts: dict[str, int]  # of the judged samples
    weak_integrity: Figure  # share of judged samples whose test could not be split from the solution
    truncated: Figure  # share of samples cut off at the length limit; left out of the lengths below
    characters: Figure  # mean over problems of the mean length of normalised added code
    tokens: Figure  # the same in Python's lexical tokens
    model_tokens: Figure  # tokens that the model wrote, layout and comments included; no cut-off samples
    efficiency: ModelEfficiency | None = None
    held_out: HeldOut | None = None
    larger: OnLarger | None = None  # null, too, where `stress` was not run


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """Matched speed-up of `model` over the base: geometric mean of median t_base / median t_model. > 1 is faster."""

    figure: Figure
    p: float | None  # sign-flip test
    p_holm: float | None  # adjusted over the models compared
    untimed: int  # problems that both solve but for which one has no run time that may be compared
    faster: int  # problems at or above 1.10
    slower: int  # regressions: problems at or below 1/1.10


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """One model against the base, on the problems that both were judged on."""

    model: str
    base: str
    pass_at_k: dict[str, Figure]  # paired difference, model - base, by k
    speedup: SpeedUp
    optimised: Figure  # %Opt: share of problems solved by both with a speed-up ≥ 1.10
    length_ratio: Figure  # geometric mean of characters(model) / characters(base); < 1 is shorter
    gained: int  # problems that the model solves and the base does not
    lost: int
    efficiency: EfficiencyDifference | None = None
    held_out: HeldOutDifference | None = None
    larger: LargerDifference | None = None  # null, too, where `stress` was not run


@dataclass(frozen=True, slots=True)
class ProblemModel:
    """One model on one problem. `runtime_ns` is the median over its passing samples that have a run time which may be
    compared; None without one."""

    judged: int
    passed: int
    runtime_ns: float | None


@dataclass(frozen=True, slots=True)
class ProblemResult:
    task_id: str
    models: dict[str, ProblemModel]
    speedup: dict[str, float | None]  # by model, base left out


@dataclass(frozen=True, slots=True)
class Results:
    """`results.json` (docs/results.md)."""

    base: str
    ks: list[int]
    seed: int
    problems_given: int
    models: list[ModelResult]
    comparisons: list[ModelComparison]
    problems: list[ProblemResult]
    quality: LabelQuality
    schema_version: int = SCHEMA_VERSION


def evaluate(
    problems: Sequence[Problem],
    samples: Sequence[Sample],
    executions: Sequence[ExecutionRow],
    labels: Mapping[str, ProblemLabels],
    models: Sequence[str],
    *,
    ks: Sequence[int] = (1, 5, 10),
    seed: int = 0,
    blocks: tuple[int, int] | None = None,
    held_out: Sequence[ExecutionRow] | None = None,
    limit_ns: float | None = None,
    stress: Sequence[StressResult] = (),
) -> Results:
    """Compare `models[1:]` with `models[0]` on `problems`.

    Samples of other models or problems are left out. Of several execution rows of one sample the last counts (a retried
    INTERNAL). `blocks` is (contaminated, all) measurement blocks, `held_out` the runs of held-out tests, `limit_ns` the
    CPU time limit of a run, where known, and `stress` what larger inputs showed of the same solutions. Raises DataError
    for a sample that is there twice and for a model without samples.
    """
    if not models or len(set(models)) != len(models):
        raise ValueError("models must be one or more different names")
    board = tally_samples(problems, samples, executions, labels, models, held_out)
    efficiency = Efficiency(board, ks, seed, limit_ns)
    task_ids = {problem.task_id for problem in problems}
    larger = Larger([one for one in stress if one.task_id in task_ids], executions, labels, seed)
    comparisons = [
        replace(_compare(board, models[0], model, ks, seed, efficiency), larger=larger.difference(models[0], model))
        for model in models[1:]
    ]
    return Results(
        base=models[0],
        ks=list(ks),
        seed=seed,
        problems_given=len(problems),
        models=[
            replace(_model_result(name, board.models[name], ks, seed, efficiency), larger=larger.of_model(name))
            for name in models
        ],
        comparisons=_with_holm(comparisons),
        problems=[_problem_result(problem.task_id, board, models) for problem in problems],
        quality=label_quality(
            [labels[p.task_id] for p in problems if p.task_id in labels], blocks, board, models[0], seed
        ),
    )


def to_json(results: Results) -> str:
    return json.dumps(asdict(results), indent=1, allow_nan=False) + "\n"


def from_json(text: str, *, where: str = "results.json") -> Results:
    """Read back what `to_json` wrote. Raises DataError for another schema version or a damaged file."""
    try:
        results = _adapter().validate_json(text)
    except ValidationError as error:
        raise DataError(str(error.errors(include_url=False)[0]), where=where) from error
    if results.schema_version != SCHEMA_VERSION:
        raise DataError(f"schema version {results.schema_version}, this program reads {SCHEMA_VERSION}", where=where)
    return results


@cache
def _adapter() -> TypeAdapter[Results]:
    return TypeAdapter(Results)


def _pass_values(tallies: Mapping[str, Tally], k: int) -> dict[str, float]:
    """pass@k by task_id, for the problems with at least k judged samples."""
    values = ((task_id, pass_at_k(tally.judged, tally.passed, k)) for task_id, tally in tallies.items())
    return {task_id: value for task_id, value in values if value is not None}


def _too_few(k: int) -> str:
    return f"no problem has {k} judged {'sample' if k == 1 else 'samples'}"


def _model_result(
    name: str, tallies: Mapping[str, Tally], ks: Sequence[int], seed: int, efficiency: Efficiency
) -> ModelResult:
    verdicts: Counter[str] = Counter()
    for tally in tallies.values():
        verdicts.update(tally.verdicts)
    samples = sum(tally.samples for tally in tallies.values())
    weak = sum(tally.weak for tally in tallies.values())
    truncated = sum(tally.truncated for tally in tallies.values())

    def length(values: Mapping[str, Sequence[int]], missing: str) -> Figure:
        means = {task_id: math.fsum(sizes) / len(sizes) for task_id, sizes in values.items() if sizes}
        return mean_figure(means, Better.DOWN, seed=seed, missing=missing)

    no_code = "no completion that parses and was not cut off"
    return ModelResult(
        name=name,
        problems=sum(tally.judged > 0 for tally in tallies.values()),
        samples=samples,
        judged=verdicts.total(),
        internal=sum(tally.internal for tally in tallies.values()),
        unjudged=sum(tally.unjudged for tally in tallies.values()),
        solved=sum(tally.passed > 0 for tally in tallies.values()),
        pass_at_k={
            str(k): mean_figure(_pass_values(tallies, k), Better.UP, seed=seed, missing=_too_few(k)) for k in ks
        },
        verdicts=dict(sorted(verdicts.items())),
        weak_integrity=share_figure(weak, verdicts.total(), "samples", Better.DOWN, missing="no judged samples"),
        truncated=share_figure(truncated, samples, "samples", Better.DOWN, missing="no samples"),
        characters=length({t: [c.characters for c in tally.lengths] for t, tally in tallies.items()}, no_code),
        tokens=length({t: [c.tokens for c in tally.lengths] for t, tally in tallies.items()}, no_code),
        model_tokens=length({t: tally.model_tokens for t, tally in tallies.items()}, "no token counts were recorded"),
        efficiency=efficiency.of_model(name),
        held_out=efficiency.held_out_of(name),
    )


def _compare(
    board: Board, base: str, model: str, ks: Sequence[int], seed: int, efficiency: Efficiency
) -> ModelComparison:
    old, new = board.models[base], board.models[model]
    shared = sorted(task_id for task_id in old.keys() & new.keys() if old[task_id].judged and new[task_id].judged)
    solved = [task_id for task_id in shared if old[task_id].passed and new[task_id].passed]
    logs = log_ratios({t: old[t].runtime_ns for t in solved}, {t: new[t].runtime_ns for t in solved})
    untimed = set(solved) - logs.keys()
    optimised = {t: float(t in logs and is_notable(logs[t])) for t in shared if t not in untimed}
    differences = {
        str(k): mean_figure(
            paired_differences(_pass_values(old, k), _pass_values(new, k)), Better.UP, seed=seed, missing=_too_few(k)
        )
        for k in ks
    }
    speedup = SpeedUp(
        figure=geometric_mean_figure(
            logs,
            Better.UP,
            seed=seed,
            missing="no problem that both solve has run times" if solved else "no problem is solved by both",
        ),
        p=sign_flip_p(logs, seed=seed),
        p_holm=None,  # needs all comparisons: _with_holm
        untimed=len(untimed),
        faster=sum(is_notable(value) for value in logs.values()),
        slower=sum(is_notable(-value) for value in logs.values()),
    )
    return ModelComparison(
        model=model,
        base=base,
        pass_at_k=differences,
        speedup=speedup,
        optimised=mean_figure(optimised, Better.UP, seed=seed, missing="no problem was judged for both"),
        length_ratio=geometric_mean_figure(
            log_ratios(_mean_characters(new), _mean_characters(old)),
            Better.DOWN,
            seed=seed,
            missing="no problem has code of both to compare",
        ),
        gained=sum(new[t].passed > 0 and not old[t].passed for t in shared),
        lost=sum(old[t].passed > 0 and not new[t].passed for t in shared),
        efficiency=efficiency.difference(base, model),
        held_out=efficiency.held_out_difference(base, model),
    )


def _mean_characters(tallies: Mapping[str, Tally]) -> dict[str, float | None]:
    return {
        task_id: math.fsum(size.characters for size in tally.lengths) / len(tally.lengths) if tally.lengths else None
        for task_id, tally in tallies.items()
    }


def _with_holm(comparisons: Sequence[ModelComparison]) -> list[ModelComparison]:
    adjusted = holm({comparison.model: comparison.speedup.p for comparison in comparisons})
    return [replace(c, speedup=replace(c.speedup, p_holm=adjusted[c.model])) for c in comparisons]


def _problem_result(task_id: str, board: Board, models: Sequence[str]) -> ProblemResult:
    tallies = {model: board.models[model].get(task_id, Tally()) for model in models}
    base = tallies[models[0]].runtime_ns
    logs = {model: log_ratios({task_id: base}, {task_id: tallies[model].runtime_ns}) for model in models[1:]}
    return ProblemResult(
        task_id=task_id,
        models={name: ProblemModel(tally.judged, tally.passed, tally.runtime_ns) for name, tally in tallies.items()},
        speedup={model: math.exp(log[task_id]) if log else None for model, log in logs.items()},
    )
