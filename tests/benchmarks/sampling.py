"""How fast are solutions drawn? Ours beside the published loop and generate with stops: `make bench-sampling`.

The same model, machine, problems, number of samples, temperature and limit of new tokens for all; texts are cut at the
end of the function by one rule and judged in the sandbox, so that pass@1 shows that nothing is lost. Turns: a few
problems each, every way one after the other, in another order each turn. A ratio is of one turn. Ours could write the
problems of all turns side by side and does not: with more problems it has fewer rows that wait for the last ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.annotation.executing import job_for
from harness.metrics.bootstrap import mean_interval, paired_differences
from harness.problems.load import load_problems
from harness.progress import ConsoleReporter
from harness.records import Problem
from harness.sampling.backend import TransformersSampler
from harness.sampling.models import resolve_model
from harness.sampling.settings import SamplingSettings
from sandbox import Sandbox, allowed_cores
from tests.benchmarks.figures import Range, over_rounds, rotated
from tests.benchmarks.machine import host_facts
from tests.benchmarks.sampling_methods import METHODS, Drawn
from tests.benchmarks.tables import Table, markdown, number, ranged, show

SMALL_BATCH = 16


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sampling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one turn of two problems, one minute")
    parser.add_argument("--model_path", default="smollm2-135m", help="default: the built-in one")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--problems", type=int, default=3, help="a turn, of the starter set's test split")
    parser.add_argument("--n_seq", type=int, default=16)
    parser.add_argument("--max_new_tokens", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/sampling.json"), help="a table goes beside it")
    options = parser.parse_args()
    if options.quick:
        options.turns, options.problems, options.n_seq, options.max_new_tokens = 1, 2, 8, 64
    begin = time.monotonic()
    settings = SamplingSettings(n_seq=options.n_seq, max_new_tokens=options.max_new_tokens)
    every = load_problems("starter", ["test"])
    wanted = options.turns * options.problems
    if wanted > len(every):
        parser.error(f"{wanted} problems; the split has {len(every)}")
    problems = [every[at * len(every) // wanted] for at in range(wanted)]
    reporter = ConsoleReporter()
    sampler = TransformersSampler(resolve_model(options.model_path, reporter))
    turns = draw_turns(sampler, [problems[at :: options.turns] for at in range(options.turns)], settings, reporter)
    again = METHODS["ours"](sampler, problems[:: options.turns], replace(settings, batch_size=SMALL_BATCH))
    result = figures(turns, judged(turns, problems, reporter)) | {
        "schema": 1,
        "same": same(turns[0]["ours"], again),
        "settings": asdict(settings) | {"model": options.model_path, **sampler.facts({})},
        "turns": options.turns,
        "problems": [problem.task_id for problem in problems],
        "machine": host_facts(),
        "seconds": time.monotonic() - begin,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    table = result_table(result)
    options.out.with_suffix(".md").write_text(markdown(table))
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    show(table, console)
    console.print(f"{options.out} and .md beside it; {result['seconds']:.0f} s", markup=False)
    return 0


def draw_turns(
    sampler: TransformersSampler,
    sets: Sequence[Sequence[Problem]],
    settings: SamplingSettings,
    reporter: ConsoleReporter,
) -> list[dict[str, Drawn]]:
    """For each turn what each way drew."""
    warm_up = SamplingSettings(n_seq=2, max_new_tokens=2)
    for method in METHODS.values():
        method(sampler, sets[0][:1], warm_up)
    turns = []
    for turn, problems in enumerate(sets):
        drawn = {}
        for name in rotated(list(METHODS), turn):
            drawn[name] = METHODS[name](sampler, problems, settings)
            rate = len(drawn[name].completions) / drawn[name].wall_s
            reporter.say(f"turn {turn + 1} of {len(sets)}: {name}: {rate:.2f} samples/s")
        turns.append(drawn)
    return turns


def judged(
    turns: Sequence[Mapping[str, Drawn]], problems: Sequence[Problem], reporter: ConsoleReporter
) -> dict[str, dict[str, float]]:
    """For each way the share of samples that pass, by task_id."""
    known = {problem.task_id: problem for problem in problems}
    samples = [(name, *one) for drawn in turns for name, way in drawn.items() for one in way.completions]
    reporter.say(f"judging {len(samples)} samples")
    passed: dict[str, dict[str, list[bool]]] = {name: {} for name in METHODS}
    with Sandbox(cores=allowed_cores()) as sandbox:
        jobs = (job_for(known[task_id], text) for _, task_id, text in samples)
        for (name, task_id, _), execution in zip(samples, sandbox.run_many(jobs), strict=True):
            passed[name].setdefault(task_id, []).append(execution.passed)
    return {
        name: {task_id: sum(own) / len(own) for task_id, own in by_task.items()} for name, by_task in passed.items()
    }


def same(first: Drawn, second: Drawn) -> tuple[int, int]:
    """Completions that came twice, and all."""
    known = Counter(first.completions)
    return sum((known & Counter(second.completions)).values()), len(first.completions)


def figures(turns: Sequence[Mapping[str, Drawn]], shares: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Pure."""
    ways = {}
    for name in METHODS:
        own = [drawn[name] for drawn in turns]
        interval = mean_interval(shares[name], seed=1)
        against = mean_interval(paired_differences(shares[name], shares["ours"]), seed=1)
        ways[name] = {
            "samples_per_second": _range([len(one.completions) / one.wall_s for one in own]),
            "tokens_per_second": _range([one.tokens / one.wall_s for one in own]),
            "cpu_seconds_per_sample": _range([one.cpu_s / len(one.completions) for one in own]),
            "written_per_sample": sum(one.written for one in own) / sum(len(one.completions) for one in own),
            "tokens_per_sample": sum(one.tokens for one in own) / sum(len(one.completions) for one in own),
            "pass_at_1": sum(shares[name].values()) / len(shares[name]),
            "pass_at_1_interval": [interval.low, interval.high],
            "ours_minus_it": [against.low, against.high],
            "ours_times_as_fast": _range([drawn[name].wall_s / drawn["ours"].wall_s for drawn in turns]),
            "ours_times_less_cpu": _range([drawn[name].cpu_s / drawn["ours"].cpu_s for drawn in turns]),
        }
    return {"ways": ways}


def _range(values: Sequence[float]) -> dict[str, Any]:
    found = over_rounds(values)
    assert found is not None
    return asdict(found)


def result_table(result: Mapping[str, Any]) -> Table:
    rows = []
    for name, way in result["ways"].items():
        shown = {key: Range(**way[key]) for key in way if isinstance(way[key], dict)}
        low, high = (number(None if end is None else 100 * end) for end in way["pass_at_1_interval"])
        rows.append(
            [
                name,
                ranged(shown["samples_per_second"], 2),
                ranged(shown["tokens_per_second"], 0),
                f"{way['tokens_per_sample']:.0f} of {way['written_per_sample']:.0f}",
                ranged(shown["cpu_seconds_per_sample"], 2),
                f"{100 * way['pass_at_1']:.1f}% [{low}, {high}]",
                ranged(shown["ours_times_as_fast"], 2) + "×",
                ranged(shown["ours_times_less_cpu"], 2) + "×",
            ]
        )
    columns = (
        "way", "samples/s ↑", "tokens kept/s ↑", "tokens a sample, kept of drawn", "CPU s a sample ↓",
        "pass@1 [95%]", "ours, times as many samples/s ↑", "times less CPU ↑",
    )  # fmt: skip
    settings = result["settings"]
    note = (
        f"{settings['model']}, {settings['device']}, {settings['dtype']}; {len(result['problems'])} problems × "
        f"{settings['n_seq']} samples in {result['turns']} turns, T = {settings['temperature']}, at most "
        f"{settings['max_new_tokens']} new tokens. Median over turns [lowest, highest]; pass@1 over problems. "
        f"Drawn again in batches of {SMALL_BATCH}, {result['same'][0]} of {result['same'][1]} of ours were the same."
    )
    return Table("Drawing solutions", columns, rows, note)


if __name__ == "__main__":
    sys.exit(main())
