"""What training costs: our trainers beside TRL's own on the same batches, and the data's path: `make bench-training`.

Steps: our trainer trains, on record (`audit`); TRL's own trainer is then given the very same batches as static rows.
Both go on in turns, a few steps each, in one process and on one thread; the first step of a turn is left out. A ratio
is ours over theirs for one turn of both. Data path: 100 answers of 200 tokens a problem, as in the published sampling.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.progress import ConsoleReporter
from tests.benchmarks.machine import host_facts
from tests.benchmarks.tables import Table, markdown, number, ranged, show
from tests.benchmarks.training_data import Cost, collator_cost, draw_cost, memory_of
from tests.benchmarks.training_steps import Turns, compare_steps, small_model
from tests.tiny_llama import smollm2_tokenizer

FULL = {"turns": 8, "steps": 12, "large_turns": 3, "large_steps": 2, "answers": (1_000, 10_000), "draws": 4_000}
QUICK = {"turns": 3, "steps": 5, "large_turns": 0, "large_steps": 0, "answers": (200, 1_000), "draws": 500}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.training", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small version, less than a minute: no SmolLM2")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/training.json"), help="a table goes beside it")
    options = parser.parse_args()
    begin = time.monotonic()
    result = measure(QUICK if options.quick else FULL, ConsoleReporter())
    result |= {"settings": {"quick": options.quick}, "machine": host_facts(), "seconds": time.monotonic() - begin}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    tables = [steps_table(result), data_table(result), memory_table(result)]
    options.out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables))
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    for table in tables:
        show(table, console)
    console.print(f"{options.out} and .md beside it; {result['seconds']:.0f} s", markup=False)
    return 0


def measure(sizes: dict[str, Any], reporter: ConsoleReporter) -> dict[str, Any]:
    """All figures as plain values."""
    steps: dict[str, Turns] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = [("0.8 M, on bytes", small_model(Path(folder)), sizes["turns"], sizes["steps"], 9)]
        if sizes["large_turns"]:
            from harness.sampling.models import resolve_model

            large = Path(resolve_model("smollm2-135m", reporter))
            models.append(("SmolLM2-135M", large, sizes["large_turns"], sizes["large_steps"], 2))
        for name, model, turns, count, lines in models:
            for optim in ("sft", "dpo"):
                reporter.say(f"steps: {name}, {optim}")
                place = Path(folder) / f"{model.name}-{optim}"
                steps[f"{name}, {optim}"] = compare_steps(optim, model, place, turns=turns, steps=count, lines=lines)
        reporter.say("data path")
        tokenizer = Path(folder) / "tokenizer"
        smollm2_tokenizer().save_pretrained(tokenizer)
        costs = [*collator_cost(tokenizer, Path(folder)), *draw_cost(sizes["draws"])]
        memory = [memory_of(tokenizer, answers, how) for answers in sizes["answers"] for how in ("lists", "disk")]
    return {
        "steps": {name: asdict(turns) | {"ratios": turns.ratios} for name, turns in steps.items()},
        "costs": [asdict(cost) for cost in costs],
        "memory": memory,
    }


def steps_table(result: dict[str, Any]) -> Table:
    rows = []
    for name, measured in result["steps"].items():
        turns = Turns(measured["ours"], measured["stock"])
        rows.append(
            [
                name,
                ranged(turns.milliseconds("ours", "wall"), 1),
                ranged(turns.milliseconds("stock", "wall"), 1),
                ranged(turns.ratio("wall"), 3),
                ranged(turns.milliseconds("ours", "cpu"), 1),
                ranged(turns.milliseconds("stock", "cpu"), 1),
                ranged(turns.ratio("cpu"), 3),
                f"{len(turns.ours)} × {turns.steps_a_turn}",
            ]
        )
    return Table(
        "Time of an optimiser step, and ours over TRL's own",
        ["model", "ours, ms", "TRL, ms", "ratio ↓", "ours, CPU ms", "TRL, CPU ms", "CPU ratio ↓", "n"],
        rows,
        "Median over turns [lowest, highest]. n: turns × steps counted in each. Same batches, one thread.",
    )


def data_table(result: dict[str, Any]) -> Table:
    rows = [
        [
            cost.what,
            ranged(cost.microseconds, 1),
            number(1e6 / cost.microseconds.median, 0),
            f"{cost.microseconds.count}",
        ]
        for cost in (Cost.of(one) for one in result["costs"])
    ]
    return Table(
        "What a problem costs on its way into a batch (100 answers of 200 tokens)",
        ["step", "µs ↓", "a second ↑", "n"],
        rows,
        "CPU time. Median over rounds [lowest, highest].",
    )


def memory_table(result: dict[str, Any]) -> Table:
    rows = [
        [
            f"{one['answers']:,}",
            "on disk (ours)" if one["how"] == "disk" else "Python lists, for comparison",
            number(one["peak_mib"], 1),
            number(one["rows_mib"], 1),
            number(one["cpu_seconds"], 1),
        ]
        for one in result["memory"]
    ]
    return Table(
        "Peak memory of the data path: tokenise, then all batches of an epoch",
        ["answers × 200 tokens", "rows kept", "peak ↓, MiB", "rows, MiB", "CPU s"],
        rows,
        "What the process took beyond what it had with the libraries and the tokeniser loaded; without pages of the "
        "mapped file, which the system may drop at any time.",
    )


if __name__ == "__main__":
    sys.exit(main())
