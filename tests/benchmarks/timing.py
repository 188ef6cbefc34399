"""Are run-time labels true? Ours, the published method and the naive one on the same solutions: `make bench-timing`.

Everything runs on one core. Each method measures everything twice, independently: on the idle machine and beside a
process that uses half of the same core. pyperf's own runner, in a locked-down container, is the independent instrument.
Needs the released solutions (CODE_OPTIMISE_DATA), a local engine, the sandbox image, and PyPI for pyperf.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from rich.console import Console

from harness.annotation.settings import AnnotationSettings
from harness.progress import ConsoleReporter
from harness.store import write_rows
from harness.timing.legacy import PASSES, passes_of
from sandbox import Sandbox, SandboxError, allowed_cores
from sandbox.engine import connect
from tests.benchmarks.box import BenchError, install_peers
from tests.benchmarks.machine import machine_facts
from tests.benchmarks.tables import markdown, show
from tests.benchmarks.timing_figures import Key
from tests.benchmarks.timing_methods import (
    Corpus,
    LegacyFigures,
    OwnRun,
    busy_neighbour,
    corpus,
    run_legacy,
    run_ours,
    run_pyperf,
)
from tests.benchmarks.timing_results import result_tables, write_plot, written
from tests.benchmarks.work import DataMissing, data_folder, released_work, spread

FULL = {"problems": 40, "most": 12, "copies": 10, "pyperf": 66, "legacy_loaded": 160, "passes": PASSES}
QUICK = {"problems": 6, "most": 5, "copies": 2, "pyperf": 12, "legacy_loaded": 10, "passes": 2}
PYPERF_PROBLEMS = 6  # the largest ones: pairs grow with the square of a problem's solutions


@dataclass(slots=True)
class Everything:
    """What was measured; the second of each pair beside a busy neighbour."""

    chosen: Corpus
    settings: AnnotationSettings
    ours: tuple[OwnRun, OwnRun]
    legacy: tuple[LegacyFigures, LegacyFigures]
    pyperf: dict[Key, float]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.timing", description=__doc__)
    made.add_argument("--quick", action="store_true", help="a small version, about 3 minutes")
    made.add_argument("--core", type=int, help="default: the last that this process may use")
    made.add_argument("--data", type=Path, help="folder with the released solutions (default: CODE_OPTIMISE_DATA)")
    made.add_argument("--peers", type=Path, default=Path("runs/bench/peers"), help="where pyperf is installed")
    made.add_argument("--out", type=Path, default=Path("runs/bench/timing.json"), help="table and plot go beside it")
    made.add_argument("--seed", type=int, default=1)
    for name, value in FULL.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"default {value}")
    return made


def main() -> int:
    options = parser().parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.core = allowed_cores()[-1] if options.core is None else options.core
    reporter = ConsoleReporter()
    begin = time.monotonic()
    try:
        data = data_folder(options.data)
        packages = install_peers(options.peers, reporter.say, ("pyperf",))["pyperf"]
        client = connect()
        measured = measure(options, data, packages, client, reporter)
        machine = machine_facts(client)
        client.close()
    except (DataMissing, BenchError, SandboxError) as error:
        reporter.say(f"error: {error}")
        return 2
    settings = {name: getattr(options, name) for name in ("quick", "core", "seed", *FULL)}
    result = written(measured) | {"settings": settings, "machine": machine, "seconds": time.monotonic() - begin}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    for run, name in zip(measured.ours, ("idle", "busy"), strict=True):
        write_rows(options.out.with_name(f"timing-blocks-{name}.jsonl"), run.rows())
    tables = result_tables(result)
    options.out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables))
    write_plot(result, options.out.with_suffix(".png"))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in tables:
        show(table, console)
    console.print(f"{options.out}, .md and .png beside it; {result['seconds']:.0f} s", markup=False)
    return 0


def measure(
    options: argparse.Namespace, data: Path, packages: Path, client: docker.DockerClient, reporter: ConsoleReporter
) -> Everything:
    @contextmanager
    def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
        with reporter.task(label, total, unit="") as task:
            yield task.advance

    chosen = corpus(released_work(data, "starcoder-1b"), options.problems, options.most, options.copies, options.seed)
    settings = AnnotationSettings(seed=options.seed)
    count, copies = len(chosen.originals), len(chosen.works) - len(chosen.originals)
    reporter.say(f"{count} solutions of {len(chosen.states())} problems, {copies} identical copies")
    ordered = chosen.originals + [key for key in chosen.works if key not in set(chosen.originals)]
    jobs = [(*key, chosen.job(key)) for key in ordered]
    own_blocks = settings.decision.min_rounds * len(chosen.states())

    def ours(label: str, seed: int) -> OwnRun:
        with progress(f"ours, {label}", own_blocks) as advance:
            # Another seed: other orders, hash seeds and layouts, so that the two runs share nothing.
            return run_ours(client, chosen.states(), options.core, AnnotationSettings(seed=seed), advance)

    def legacy(label: str, count: int) -> LegacyFigures:
        """The first so many: they are whole problems, whose pairs can be compared."""
        runs = list(passes_of(lambda: jobs[:count], options.passes))
        with progress(f"published method, {label}", len(runs)) as advance:
            return run_legacy(runs, options.core, advance)

    idle = ours("idle", options.seed)
    with Sandbox(cores=[options.core]) as sandbox:
        image = sandbox.image.id
    keys = pyperf_keys(chosen, options.pyperf)
    with progress("pyperf", len(keys)) as advance:
        instrument = run_pyperf(client, image, options.core, packages, chosen, keys, advance)
    published = legacy("idle", len(jobs))
    with busy_neighbour(options.core):
        loaded = ours("busy neighbour", options.seed + 1)
        published_loaded = legacy("busy neighbour", options.legacy_loaded)
    return Everything(chosen, settings, (idle, loaded), (published, published_loaded), instrument)


def pyperf_keys(chosen: Corpus, count: int) -> list[Key]:
    """Solutions of the problems that have most of them."""
    by_task: dict[str, list[Key]] = {}
    for key in chosen.originals:
        by_task.setdefault(key[0], []).append(key)
    largest = sorted(by_task.values(), key=len, reverse=True)[:PYPERF_PROBLEMS]
    each = -(-count // max(1, len(largest)))
    return [key for keys in largest for key in spread(keys, each)][:count]


if __name__ == "__main__":
    sys.exit(main())
