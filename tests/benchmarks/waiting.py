"""What it costs that threads of a CPU model wait for each other by spinning: `python -m tests.benchmarks.waiting`.

A decoding step of a model on all cores, in a process of its own, alone and beside a neighbour that keeps one core busy;
with OpenMP's threads spinning as long as libgomp would have it, as briefly as `code-optimise` asks for, and not at all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.progress import ConsoleReporter
from harness.waiting import BRIEF_SPIN
from tests.benchmarks.figures import Range, over_rounds
from tests.benchmarks.machine import host_facts
from tests.benchmarks.tables import Table, markdown, ranged, show

POLICIES: Mapping[str, Mapping[str, str]] = {
    "libgomp's own": {},
    "spin briefly, then sleep (ours)": BRIEF_SPIN,
    "sleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
}
_ROUNDS = 2

_STEPS = """
import json, sys, time
import torch
from harness.progress import SilentReporter
from harness.sampling.backend import TransformersSampler
from harness.sampling.cache import roomy_cache
from harness.sampling.models import resolve_model

sampler = TransformersSampler(resolve_model(sys.argv[1], SilentReporter()), device="cpu")
cache, ids = roomy_cache(sampler.config), torch.ones((16, 8), dtype=torch.long)
seconds = []
with torch.inference_mode():
    sampler.forward(ids, torch.ones_like(ids), cache)
    for step in range(10):
        mask = torch.ones((16, 9 + step), dtype=torch.long)
        begin = time.perf_counter()
        sampler.forward(ids[:, :1], mask, cache)
        seconds.append(time.perf_counter() - begin)
print(json.dumps(seconds[2:]))
"""


def waiting_costs(model: str) -> list[dict[str, Any]]:
    """Milliseconds of a step of 16 rows, for each policy, alone and beside a neighbour; rounds in turns."""
    times: dict[tuple[str, bool], list[float]] = {}
    turns = [(busy, name) for _ in range(_ROUNDS) for busy in (False, True) for name in POLICIES]
    with ConsoleReporter().task("steps", len(turns), unit="processes") as task:
        for busy, name in turns:
            with _neighbour() if busy else nullcontext():
                times.setdefault((name, busy), []).extend(_steps(model, POLICIES[name]))
            task.advance()
    return [
        {"policy": name, "neighbour": busy, "milliseconds": asdict(found)}
        for (name, busy), own in times.items()
        if (found := over_rounds(own))
    ]


def _steps(model: str, policy: Mapping[str, str]) -> list[float]:
    command = [sys.executable, "-c", _STEPS, model]
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", *BRIEF_SPIN)}
    done = subprocess.run(command, env=clean | policy, capture_output=True, text=True, check=True)
    return [1_000 * seconds for seconds in json.loads(done.stdout.splitlines()[-1])]


@contextmanager
def _neighbour() -> Iterator[None]:
    """A process that is busy on one core."""
    core = min(os.sched_getaffinity(0))
    code = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            yield
        finally:
            process.kill()


def waiting_table(found: Sequence[Mapping[str, Any]]) -> Table:
    by = {(one["policy"], one["neighbour"]): Range(**one["milliseconds"]) for one in found}
    rows = [
        [name, ranged(by[name, False], 0), ranged(by[name, True], 0), f"{by[name, False].count}"] for name in POLICIES
    ]
    note = "Median of steps [lowest, highest]. 16 rows, all cores; the neighbour keeps one core busy. n: steps each."
    return Table("A decoding step, ms ↓", ("threads wait", "alone", "beside a busy neighbour", "n"), rows, note)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.waiting", description=__doc__)
    parser.add_argument("--model_path", default="smollm2-135m", help="default: the built-in one")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/waiting.json"), help="a table goes beside it")
    options = parser.parse_args()
    found = waiting_costs(options.model_path)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"schema": 1, "waiting": found, "host": host_facts()}, indent=1) + "\n")
    options.out.with_suffix(".md").write_text(markdown(waiting_table(found)))
    show(waiting_table(found), Console(width=None if sys.stdout.isatty() else 140, highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
