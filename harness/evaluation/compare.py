"""Models of several run folders side by side. Pure.

Verdicts can be compared wherever problems, prompts and tests are the same. Nanoseconds can't: another machine, another
day, another core's clock make another unit. Within a folder run times are of the same blocks. Between folders they are
brought to one unit problem by problem, by programs that both folders have timed (same syntax tree, same calls): the
median ratio of their times is that problem's rate of exchange. How good the rates are is measured as well, by
predicting each common program from the others; where they are too coarse, or too few to tell, no speed-up is given
between these folders. What a rate is off by at random is different from problem to problem, and so in the bootstrap's
spread; that one machine may favour one way of writing is not. `compare --measure`, which times all of it together, is
the better answer.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from harness.errors import UserError
from harness.evaluation.results import Results, evaluate
from harness.metrics.bootstrap import MIN_PROBLEMS
from harness.metrics.speedup import NOTABLE
from harness.records import ExecutionRow, Problem, ProblemLabels, RuntimeLabel, Sample, TimingMethod
from harness.stress.records import StressResult
from harness.timing.decisions import MEMOISES, spoilt

DEFAULT_KS = (1, 5, 10)
# A rate of exchange may be off by half of what counts as a speed-up of a problem.
MAX_EXCHANGE_ERROR = (NOTABLE - 1.0) / 2


@dataclass(frozen=True, slots=True)
class Source:
    """What a run folder holds. `label` stands for it in names; `where` is its place; `data` names the problems.

    digests: of each problem as it was judged (`problem_digest`), empty if that is not on record. calls: number and
    digest of the calls that a solution was timed on, by (task_id, solution_id). base_image: what its programs ran in.
    held_out: runs of held-out tests; None: none was run. limit_ns: CPU time that a run might take. stress: what larger
    inputs showed.
    """

    label: str
    where: str
    data: str
    split: str
    samples: Sequence[Sample]
    executions: Sequence[ExecutionRow]
    labels: Mapping[str, ProblemLabels]
    calls: Mapping[tuple[str, str], tuple[int, str]]
    digests: Mapping[str, str]
    method: TimingMethod
    base_image: str
    blocks: tuple[int, int] = (0, 0)  # disturbed, all
    data_path: str = ""  # where the problems were read from
    held_out: Sequence[ExecutionRow] | None = None
    held_out_digests: Mapping[str, str] = field(default_factory=dict)
    limit_ns: float | None = None
    stress: Sequence[StressResult] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """One model of one source, and its name in the comparison."""

    source: int
    model: str
    name: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """From one source's times to another's. `rates` by task_id are what its times are divided by.

    error: the median over left-out common programs of how far off the others' rate was, as a share; None where fewer
    than five problems have two. refused: why there is no speed-up between the two, else "".
    """

    rates: Mapping[str, float]
    programs: int
    error: float | None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`labels`, `samples` and `executions` are those behind the results, under the names of the comparison; `stress`,
    too: that of a single source only, for larger inputs are chosen by what a folder's own solutions agree on."""

    results: Results
    warnings: list[str]
    exchanges: dict[str, Exchange]  # by label of the source; the first source has none
    samples: list[Sample]
    executions: list[ExecutionRow]
    labels: dict[str, ProblemLabels]
    stress: list[StressResult]


def problem_digest(problem: Problem) -> str:
    """16 hex digits over what a verdict depends on: prompt, test and entry point."""
    return _digest("\0".join((problem.prompt, problem.test, problem.entry_point)))


def held_out_digests(problems: Sequence[Problem]) -> dict[str, str]:
    """The same over the held-out tests of the problems that have one."""
    return {problem.task_id: _digest(problem.held_out) for problem in problems if problem.held_out is not None}


def changed_problems(problems: Sequence[Problem], digests: Mapping[str, str], held_out: Mapping[str, str]) -> list[str]:
    """The task_ids of those whose prompt, test, entry point or held-out test is not the one on record.

    digests, held_out: the record, by task_id (`problem_digest`, `held_out_digests`). What a record lacks counts as the
    same, so that folders of older versions, which kept less of it, are not refused: `compare` warns of them, and leaves
    out the figures of held-out tests that it can't know to be the same.
    """
    now = held_out_digests(problems)
    return [
        problem.task_id
        for problem in problems
        if digests.get(problem.task_id, own := problem_digest(problem)) != own
        or held_out.get(problem.task_id, now.get(problem.task_id)) != now.get(problem.task_id)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def choose(sources: Sequence[Source], wanted: Sequence[Sequence[str] | None]) -> list[Chosen]:
    """The models to compare, in the order asked for; None: all of a source, its own order. The first is the base.

    Names are the models' own where only one source is there, else `label:model`. Raises UserError for a model that a
    source lacks, or where fewer than two are left.
    """
    chosen = []
    for place, (source, names) in enumerate(zip(sources, wanted, strict=True)):
        there = list(dict.fromkeys(sample.model for sample in source.samples))
        unknown = [name for name in names or () if name not in there]
        if unknown:
            fix = f"models there: {', '.join(there) or 'none'}"
            raise UserError(f"no samples of {', '.join(unknown)}", where=source.where, fix=fix)
        for name in names if names is not None else there:
            chosen.append(Chosen(place, name, name if len(sources) == 1 else f"{source.label}:{name}"))
    twice = [name for name, times in Counter(one.name for one in chosen).items() if times > 1]
    if twice:
        raise UserError(f"{', '.join(twice)} is named twice", where="compare")
    if len(chosen) < 2:
        fix = "name another folder, or a model of this one: FOLDER:MODEL"
        raise UserError("there is only one model, and nothing to compare it with", where="compare", fix=fix)
    return chosen


def matched_problems(sources: Sequence[Source], chosen: Sequence[Chosen], problems: Sequence[Problem]) -> list[Problem]:
    """The problems that all chosen models have samples for, in the given order.

    Raises UserError where sources are of other data or splits, or where a problem was another one when it was judged:
    other prompt, test, entry point or held-out test (`changed_problems`).
    """
    first = sources[0]
    for other in sources[1:]:
        if (other.data, other.split) != (first.data, first.split):
            raise UserError(
                f"{other.data}/{other.split} and {first.data}/{first.split} are not the same problems",
                where=f"{other.where}, {first.where}",
                fix="compare evaluations of one data set and split",
            )
    by_model: dict[tuple[int, str], set[str]] = {}
    for place, source in enumerate(sources):
        for sample in source.samples:
            by_model.setdefault((place, sample.model), set()).add(sample.task_id)
    common = set.intersection(*(by_model[one.source, one.model] for one in chosen))
    matched = [problem for problem in problems if problem.task_id in common]
    if not matched:
        raise UserError("no problem has samples of all these models", where=", ".join(s.where for s in sources))
    for source in sources:
        changed = changed_problems(matched, source.digests, source.held_out_digests)
        if changed:
            raise UserError(
                f"{len(changed)} of {len(matched)} problems had another prompt, test or held-out test when this was "
                f"judged: {', '.join(changed[:3])}{', …' if len(changed) > 3 else ''}",
                where=source.where,
                fix="give the data it was made with (--data_path), or evaluate it again on the data as it is now",
            )
    return matched


def exchange(first: Source, other: Source, task_ids: Sequence[str]) -> Exchange:
    """The rates from `other`'s times to those of `first`, and whether they are good enough."""
    if TimingMethod.LEGACY in (first.method, other.method):
        return Exchange({}, 0, None, "the published timing method has no unit that two runs share")
    if first.base_image != other.base_image:
        return Exchange({}, 0, None, "their programs ran in different base images, so under different Pythons perhaps")
    rates: dict[str, float] = {}
    errors: list[float] = []
    programs = checked = 0
    for task_id in task_ids:
        logs = _common_logs(first, other, task_id)
        programs += len(logs)
        if logs:
            rates[task_id] = math.exp(median(logs))
        if len(logs) >= 2:
            checked += 1
            errors += [abs(log - median(logs[:i] + logs[i + 1 :])) for i, log in enumerate(logs)]
    if checked < MIN_PROBLEMS:
        why = f"only {checked} problems have two programs that both timed, and it takes {MIN_PROBLEMS}"
        return Exchange(rates, programs, None, why)
    error = math.expm1(median(errors))
    if error > MAX_EXCHANGE_ERROR:
        why = f"programs that both timed differ by {error:.1%} beyond the machines' difference"
        return Exchange(rates, programs, error, why)
    return Exchange(rates, programs, error)


def _common_logs(first: Source, other: Source, task_id: str) -> list[float]:
    """ln(time in other / time in first) of each program that both have timed on the same calls."""
    mine, theirs = (_sound(source.labels.get(task_id)) for source in (first, other))
    return [
        math.log(theirs[one].runtime_ns / mine[one].runtime_ns)
        for one in sorted(mine.keys() & theirs.keys())
        if first.calls.get((task_id, one)) == other.calls.get((task_id, one)) is not None
    ]


def _sound(known: ProblemLabels | None) -> dict[str, RuntimeLabel]:
    labels = known.labels if known else ()
    return {
        label.solution_id: label
        for label in labels
        if label.runtime_ns > 0 and not spoilt(label.flags) and MEMOISES not in label.flags
    }


def compare(
    sources: Sequence[Source], chosen: Sequence[Chosen], problems: Sequence[Problem], *, seed: int = 0
) -> Comparison:
    """All chosen models against the first, on the problems that all were sampled on (`matched_problems`).

    Raises UserError for a source without verdicts.
    """
    for source in sources:
        if not source.executions:
            raise UserError("there are no verdicts", where=source.where, fix="finish its `eval`, or add --measure")
    order = [sources[chosen[0].source], *(s for place, s in enumerate(sources) if place != chosen[0].source)]
    task_ids = [problem.task_id for problem in problems]
    exchanges = {other.label: exchange(order[0], other, task_ids) for other in order[1:]}
    samples: list[Sample] = []
    executions: list[ExecutionRow] = []
    held_out: list[ExecutionRow] = []
    lacking = _without_held_out(order, problems)
    for one in chosen:
        source = sources[one.source]
        samples += [replace(row, model=one.name) for row in source.samples if row.model == one.model]
        executions += [
            replace(row, model=one.name, solution_id=_own(source, row.solution_id))
            for row in source.executions
            if row.model == one.model
        ]
        held_out += [replace(row, model=one.name) for row in source.held_out or () if row.model == one.model]
    labels = {task_id: made for task_id in task_ids if (made := _pooled(task_id, order, exchanges)).labels}
    names = [one.name for one in chosen]
    stress = [_own_stress(source, one) for source in sources for one in source.stress] if len(sources) == 1 else []
    results = evaluate(
        problems,
        samples,
        executions,
        labels,
        names,
        ks=supported_ks(samples, names),
        seed=seed,
        blocks=(sum(s.blocks[0] for s in sources), sum(s.blocks[1] for s in sources)),
        held_out=None if lacking else held_out,
        limit_ns=sources[0].limit_ns if len({source.limit_ns for source in sources}) == 1 else None,
        stress=stress,
    )
    warnings = _warnings(order, exchanges, len(problems))
    if lacking and len(lacking) < len(order):
        warnings.append(
            f"No figures of held-out tests: {', '.join(lacking)} did not run them, or there is no record of which."
        )
    return Comparison(results, warnings, exchanges, samples, executions, labels, stress)


def _without_held_out(sources: Sequence[Source], problems: Sequence[Problem]) -> list[str]:
    """The labels of sources that did not run the held-out tests that these problems have now."""
    now = held_out_digests(problems)
    return [
        source.label
        for source in sources
        if source.held_out is None or any(source.held_out_digests.get(t) != digest for t, digest in now.items())
    ]


def _own(source: Source, solution_id: str) -> str:
    """A solution's id as this source timed it: the same program has a label from each."""
    return f"{source.label}/{solution_id}"


def _own_stress(source: Source, result: StressResult) -> StressResult:
    return replace(
        result,
        solutions=[replace(one, solution_id=_own(source, one.solution_id)) for one in result.solutions],
        pairs=[
            replace(one, quick_id=_own(source, one.quick_id), slow_id=_own(source, one.slow_id)) for one in result.pairs
        ],
        dissenters=[_own(source, one) for one in result.dissenters],
    )


def _pooled(task_id: str, order: Sequence[Source], exchanges: Mapping[str, Exchange]) -> ProblemLabels:
    """The labels of all sources in the first one's unit; of a source without a rate for this problem there are none."""
    pooled = ProblemLabels(task_id, [], [])
    for source in order:
        known = source.labels.get(task_id)
        known_exchange = exchanges.get(source.label)
        if known_exchange is None:
            rate: float | None = 1.0
        else:
            rate = None if known_exchange.refused else known_exchange.rates.get(task_id)
        if known is None or rate is None:
            continue
        pooled.labels.extend(
            replace(
                label,
                solution_id=_own(source, label.solution_id),
                runtime_ns=label.runtime_ns / rate,
                low_ns=label.low_ns / rate,
                high_ns=label.high_ns / rate,
            )
            for label in known.labels
        )
        pooled.comparisons.extend(
            replace(pair, quick_id=_own(source, pair.quick_id), slow_id=_own(source, pair.slow_id))
            for pair in known.comparisons
        )
    return pooled


def _warnings(order: Sequence[Source], exchanges: Mapping[str, Exchange], problems: int) -> list[str]:
    found = []
    for other in order[1:]:
        known = exchanges[other.label]
        if known.refused:
            found.append(
                f"No speed-up between {order[0].label} and {other.label}, which were timed apart: {known.refused}. "
                "`compare --measure` times them together."
            )
        else:
            found.append(
                f"{other.label} and {order[0].label} were timed apart. Their times are linked on {len(known.rates)} of "
                f"{problems} problems by {known.programs} programs that both timed, which agree to {known.error:.1%} "
                "(median). That one machine may favour one way of writing is in no interval. `compare --measure` times "
                "them together."
            )
    if len({source.limit_ns for source in order}) > 1:
        limits = ", ".join(f"{s.label} {s.limit_ns / 1e9:g} s" if s.limit_ns else f"{s.label} unknown" for s in order)
        found.append(f"The limits of CPU time differ ({limits}): what ran into one might have passed under the other.")
    unrecorded = [source.label for source in order if not source.digests]
    if unrecorded:
        found.append(
            f"There is no record of the prompts and tests that {', '.join(unrecorded)} was judged with: that they are "
            "the same is taken on trust."
        )
    return found


def supported_ks(samples: Sequence[Sample], models: Sequence[str]) -> tuple[int, ...]:
    """The values of k that every model has enough samples for."""
    counts = Counter((sample.model, sample.task_id) for sample in samples if sample.model in set(models))
    fewest = min(counts.values(), default=1)
    return tuple(k for k in DEFAULT_KS if k <= fewest)
