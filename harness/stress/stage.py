"""The stress stage: a judged run folder → stress_inputs.jsonl → stress_measurements.jsonl → stress.jsonl.

The first two resume where they stopped; the last is made anew from them. Larger inputs are timed by the same blocks as
the problem's own calls: a size of a problem is a problem of its own to `harness.annotation.measuring`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.annotation.executing import job_for, latest_executions
from harness.annotation.measuring import ProblemState, measure, passing_solutions
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import EXECUTIONS, SAMPLES, claimed, read_labels
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import MeasurementBlock, Problem, ProblemLabels, Sample, TimingInputs, TimingMethod
from harness.store import AppendFile, Manifest, locked, read_rows, write_rows
from harness.stress.asking import Answers, expecting_test, read_answers
from harness.stress.probing import probe
from harness.stress.records import StressInputs, StressResult
from harness.stress.results import Timed, result, timing_id, timing_plan
from harness.stress.settings import StressSettings
from harness.timing.decisions import decide
from harness.timing.schedule import current_blocks, set_digest
from sandbox import Sandbox

STRESS_INPUTS, STRESS_MEASUREMENTS, STRESS = "stress_inputs.jsonl", "stress_measurements.jsonl", "stress.jsonl"


@dataclass(frozen=True, slots=True)
class StressSummary:
    """Problems with two passing solutions or more; of these, how many got larger inputs, and how many have a decided
    pair twofold apart or more on their own calls and on larger ones."""

    problems: int
    grown: int
    base_twofold: int
    twofold: int
    dissenters: int


def stress(
    problems: Sequence[Problem],
    folder: Path,
    *,
    settings: StressSettings,
    annotation: AnnotationSettings,
    reporter: Reporter,
    cores: Sequence[int] | None = None,
    overwrite: bool = False,
) -> StressSummary:
    """Grow inputs for the judged samples of a run folder, time on them, and compare with the problem's own calls.

    Raises UserError for a folder that is not annotated, or was stressed with other settings; SandboxError where the
    sandbox can't be had.
    """
    if not (folder / EXECUTIONS).exists():
        raise UserError("nothing is judged here", where=str(folder / EXECUTIONS), fix="run `annotate` or `eval` first")
    with locked(folder), claimed(cores, annotation.timing_cores, reporter) as placement:
        timing = replace(annotation.timing, min_sample_ns=settings.min_sample_ns)
        annotation = replace(annotation, timing_cores=placement.timing, method=TimingMethod.BLOCKS, timing=timing)
        manifest = Manifest(folder)
        manifest.begin("stress", _recorded(settings, annotation), overwrite=overwrite)
        if overwrite:
            for name in (STRESS_INPUTS, STRESS_MEASUREMENTS, STRESS):
                (folder / name).unlink(missing_ok=True)
        states = solutions_to_stress(problems, folder, annotation)
        limits = replace(annotation.limits, cpu_seconds=settings.cpu_seconds)
        with Sandbox(cores=placement.judging, limits=limits) as box:
            manifest.note("stress", image=box.image.tag, image_id=box.image.id, base=box.image.base)
            inputs = find_inputs(states, folder / STRESS_INPUTS, box, settings, reporter)
            time_sizes(states, inputs, folder / STRESS_MEASUREMENTS, box, settings, annotation, reporter)
        results = write_results(inputs, folder, annotation)
        summary = summarise(results)
        manifest.note("stress", problems=summary.problems, grown=summary.grown, dissenters=summary.dissenters)
        return summary


def _recorded(settings: StressSettings, annotation: AnnotationSettings) -> dict[str, Any]:
    timing = annotation.recorded()
    return settings.recorded() | {"timing": timing["timing"], "decision": timing["decision"]}


def solutions_to_stress(
    problems: Sequence[Problem], folder: Path, annotation: AnnotationSettings
) -> list[ProblemState]:
    """The folder's problems with two distinct passing solutions or more, with the problem's own test."""
    known = {problem.task_id: problem for problem in problems}
    samples = list(read_rows(folder / SAMPLES, Sample))
    # Larger inputs grow from the calls of the problem's own test, whatever the run times so far are of.
    wanted = replace(annotation, min_passing=2, min_failing=0, timing_inputs=TimingInputs.OWN)
    return passing_solutions(known, samples, latest_executions(folder / EXECUTIONS), wanted)


def find_inputs(
    states: Sequence[ProblemState], path: Path, sandbox: Sandbox, settings: StressSettings, reporter: Reporter
) -> list[StressInputs]:
    """The inputs of every problem, those that `path` has for the same solutions and new ones, which are added to it."""
    wanted = {state.problem.task_id: (state, set_digest(state.completions)) for state in states}
    found = {row.task_id: row for row in read_rows(path, StressInputs) if row.of == wanted.get(row.task_id, (0, ""))[1]}
    left = [state for state in states if state.problem.task_id not in found]

    def of(state: ProblemState) -> StressInputs:
        problem = state.problem

        def ask(test: str, solution_ids: Sequence[str], count: int) -> Mapping[str, Answers]:
            asked = replace(problem, test=test)
            jobs = [job_for(asked, state.completions[one]) for one in solution_ids]
            told = zip(solution_ids, sandbox.run_many(jobs), strict=True)
            return {one: read_answers(execution, count) for one, execution in told}

        return probe(problem.task_id, problem.test, list(state.completions), ask, settings)

    with (
        AppendFile(path) as output,
        reporter.task("stress inputs", len(states), done=len(found), unit="problems") as task,
        # As many problems at a time as there are cores: one problem's next size waits for its last.
        ThreadPoolExecutor(len(sandbox.cores)) as pool,
    ):
        try:
            for future in as_completed([pool.submit(of, state) for state in left]):
                row = future.result()
                output.append(row)
                found[row.task_id] = row
                task.advance()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [found[task_id] for task_id in wanted]


def time_sizes(
    states: Sequence[ProblemState],
    inputs: Sequence[StressInputs],
    path: Path,
    sandbox: Sandbox,
    settings: StressSettings,
    annotation: AnnotationSettings,
    reporter: Reporter,
) -> None:
    """Time what `timing_plan` says: a few rounds of each size for growth, all that a decision takes where pairs are
    decided."""
    by_task = {state.problem.task_id: state for state in states}
    growth: list[ProblemState] = []
    deciding: list[ProblemState] = []
    for row in inputs:
        for timed in timing_plan(row):
            (deciding if timed.decides else growth).append(_sized(by_task[row.task_id], row, timed))
    rounds = settings.growth_rounds
    few = replace(annotation.decision, min_rounds=rounds, max_rounds=rounds, confirm_rounds=0)
    measure(growth, path, sandbox, replace(annotation, decision=few), reporter)
    measure(deciding, path, sandbox, annotation, reporter)


def _sized(state: ProblemState, row: StressInputs, timed: Timed) -> ProblemState:
    """A size of a problem as a problem by itself, whose test expects the answers that were agreed on."""
    chosen = timed.size.timed
    calls = [ast.literal_eval(one.arguments or "()") for one in chosen]
    test = expecting_test(calls, [one.digest for one in chosen], row.wrapper)
    problem = replace(state.problem, task_id=timing_id(row.task_id, timed.size.size), test=test)
    return ProblemState(problem, {one: state.completions[one] for one in timed.solution_ids})


def write_results(inputs: Sequence[StressInputs], folder: Path, annotation: AnnotationSettings) -> list[StressResult]:
    """stress.jsonl from what the folder holds."""
    base = read_labels(folder, annotation)
    blocks: dict[str, list[MeasurementBlock]] = {}
    for block in read_rows(folder / STRESS_MEASUREMENTS, MeasurementBlock):
        blocks.setdefault(block.task_id, []).append(block)
    labels: dict[str, ProblemLabels] = {}
    for row in inputs:
        for timed in timing_plan(row):
            own = blocks.get(timing_id(row.task_id, timed.size.size), [])
            if own:
                labels[own[0].task_id] = decide(current_blocks(own), annotation.decision)
    results = [result(row, base.get(row.task_id), labels) for row in inputs]
    write_rows(folder / STRESS, results)
    return results


def summarise(results: Sequence[StressResult]) -> StressSummary:
    return StressSummary(
        problems=len(results),
        grown=sum(not one.why for one in results),
        base_twofold=sum((one.base_separation or 1) >= 2 for one in results),
        twofold=sum((one.separation or 1) >= 2 for one in results),
        dissenters=sum(len(one.dissenters) for one in results),
    )
