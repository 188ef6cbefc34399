"""`make bench-stress`: do larger inputs show algorithms? Released solutions, and HumanEval's beside expert rewrites.

Both go the whole way of the pipeline (`annotate`, then `stress`) in run folders beside the output file; --resume goes
on with those of a run that was stopped. Needs the sandbox; the released solutions need CODE_OPTIMISE_DATA.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import SAMPLES, annotate
from harness.cli.asked import parse_cores
from harness.errors import UserError
from harness.problems import load_problems
from harness.progress import ConsoleReporter
from harness.records import FinishReason, Problem, Sample
from harness.store import read_rows, write_rows
from harness.stress.records import StressInputs, StressResult
from harness.stress.settings import StressSettings
from harness.stress.stage import STRESS, STRESS_INPUTS, stress
from harness.timing.solution_id import solution_id
from sandbox import SandboxError
from tests.benchmarks.data.expert_human_eval import EXPERTS, Expert
from tests.benchmarks.machine import host_facts
from tests.benchmarks.stress_figures import Duel, duel, result_tables
from tests.benchmarks.tables import markdown, show
from tests.benchmarks.timing_methods import corpus
from tests.benchmarks.work import (
    PROBLEMS,
    RELEASED,
    DataMissing,
    data_folder,
    human_eval_canonical,
    released_work,
    spread,
)

FULL = {"problems": 40, "most": 12, "experts": len(EXPERTS)}
QUICK = {"problems": 5, "most": 4, "experts": 4}
EVERYBODY = AnnotationSettings(min_failing=0)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.stress", description=__doc__)
    made.add_argument("--quick", action="store_true", help="a small version, about 2 minutes")
    made.add_argument("--cores", help="default: all that this process may use")
    made.add_argument("--data", type=Path, help="folder with the released solutions (default: CODE_OPTIMISE_DATA)")
    made.add_argument("--out", type=Path, default=Path("runs/bench/stress.json"), help="tables go beside it")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--only", choices=("expert", "released"), help="one of the two parts")
    made.add_argument("--model", choices=sorted(RELEASED), default="starcoder-1b", help="whose released solutions")
    made.add_argument("--resume", action="store_true", help="go on with the run folders that are there")
    for name, value in FULL.items():
        made.add_argument(f"--{name}", type=int, help=f"default {value}")
    return made


def released_samples(
    data: Path, model: str, problems: int, most: int, seed: int
) -> tuple[list[Problem], list[Sample]]:
    """Distinct passing solutions, as the timing benchmark chooses them."""
    chosen = corpus(released_work(data, model), problems, most, 0, seed)
    rows = [
        Sample(task, number, model, chosen.works[task, one].completion, FinishReason.IMPORTED)
        for number, (task, one) in enumerate(chosen.originals)
    ]
    tasks = {row.task_id for row in rows}
    return [one for one in load_problems(str(data / PROBLEMS), ["validation"]) if one.task_id in tasks], rows


def expert_samples(experts: Sequence[Expert]) -> tuple[list[Problem], list[Sample]]:
    """Sample 0 of each problem is the canonical solution, sample 1 the expert's."""
    canonical = {work.task_id: work.completion for work in human_eval_canonical()}
    rows = [
        Sample(one.task_id, number, model, text, FinishReason.IMPORTED)
        for one in experts
        for number, (model, text) in enumerate((("canonical", canonical[one.task_id]), ("expert", one.completion)))
    ]
    tasks = {row.task_id for row in rows}
    return [one for one in load_problems("human_eval", ["test"]) if one.task_id in tasks], rows


def stressed(
    problems: Sequence[Problem], samples: Sequence[Sample], folder: Path, cores: tuple[int, ...] | None, seed: int
) -> tuple[list[StressResult], list[StressInputs], float]:
    """Results, inputs and seconds."""
    begin = time.monotonic()
    tell = ConsoleReporter()
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / SAMPLES, samples)
    annotate(problems, folder, settings=EVERYBODY, reporter=tell, cores=cores)
    settings = StressSettings(seed=seed)
    stress(problems, folder, settings=settings, annotation=EVERYBODY, reporter=tell, cores=cores)
    results = list(read_rows(folder / STRESS, StressResult))
    return results, list(read_rows(folder / STRESS_INPUTS, StressInputs)), time.monotonic() - begin


def duels(experts: Sequence[Expert], problems: Sequence[Problem], results: Sequence[StressResult]) -> list[Duel]:
    by_task = {one.task_id: one for one in results}
    canonical = {work.task_id: work.program for work in human_eval_canonical()}
    found = []
    for problem in problems:
        expert = next(one for one in experts if one.task_id == problem.task_id)
        slow = solution_id(canonical[problem.task_id], problem.entry_point)
        quick = solution_id(problem.prompt + expert.completion, problem.entry_point)
        found.append(duel(expert, by_task[problem.task_id], slow, quick))
    return found


def expert_part(options: argparse.Namespace, folder: Path, cores: tuple[int, ...] | None) -> dict[str, Any]:
    experts = spread(EXPERTS, options.experts)
    problems, samples = expert_samples(experts)
    results, _, seconds = stressed(problems, samples, folder, cores, options.seed)
    return {
        "seconds": seconds,
        "duels": [asdict(one) for one in duels(experts, problems, results)],
        "results": [asdict(one) for one in results],
    }


def released_part(options: argparse.Namespace, folder: Path, cores: tuple[int, ...] | None) -> dict[str, Any]:
    """Raises DataMissing where the solutions are not there."""
    problems, samples = released_samples(
        data_folder(options.data), options.model, options.problems, options.most, options.seed
    )
    results, inputs, seconds = stressed(problems, samples, folder, cores, options.seed)
    return {
        "seconds": seconds,
        "model": options.model,
        "solutions": len(samples),
        "results": [asdict(one) for one in results],
        "inputs": [_without_arguments(one) for one in inputs],
    }


PARTS = {"expert": expert_part, "released": released_part}


def main() -> int:
    options = parser().parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    begin = time.monotonic()
    written: dict[str, Any] = {"schema": 1, "settings": {name: getattr(options, name) for name in ("seed", *FULL)}}
    try:
        cores = parse_cores(options.cores, "--cores")
        for name, part in PARTS.items():
            if options.only in (None, name):
                folder = options.out.with_name(f"{options.out.stem}-{name}")
                if not options.resume:
                    shutil.rmtree(folder, ignore_errors=True)
                written[name] = part(options, folder, cores)
    except DataMissing as error:
        print(f"without the released solutions: {error}")
    except (UserError, SandboxError) as error:
        print(f"error: {error}")
        return 2
    written |= {"machine": host_facts(), "seconds": time.monotonic() - begin}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(written, indent=1) + "\n")
    tables = result_tables(written)
    options.out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in tables:
        show(table, console)
    console.print(f"{options.out} and .md beside it; {written['seconds']:.0f} s", markup=False)
    return 0


def _without_arguments(row: StressInputs) -> dict[str, Any]:
    """They are in the run folder; the figures need what became of them only."""
    found = asdict(row)
    for size in found["sizes"]:
        size["inputs"] = [one["outcome"] for one in size["inputs"]]
    return found


if __name__ == "__main__":
    sys.exit(main())
