"""`make bench-faults`: kill -9 at seeded points of every stage, run the same command again, compare all files.

A point of the command itself is the k-th change that it is about to make on the disk, or the n-th byte of a file
(tests/faults/deaths.py): the same point each time it is run. Where something beside the command is killed (the
container's warden, its shim, containerd, the engine), the point is a number of rows that the command has written.
Exit code 1 if after any point the files are not those of an undisturbed run (tests/faults/equality.py says what that
means).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from harness.progress import ConsoleReporter
from sandbox.engine import EngineConfig, privilege
from tests.benchmarks.machine import host_facts
from tests.benchmarks.tables import Table, markdown, show
from tests.faults.deaths import Death, How
from tests.faults.engines import VICTIMS, kill, mend, second_engine
from tests.faults.forks import FOR_SAMPLING, FOR_THE_REST, FOR_TRAINING, Ended, Forks
from tests.faults.stages import BY_NAME, IN_USE, STAGES, Stage, World, patiently

COMMAND = "command"
# Points by stage: changes on the disk, bytes of a file; and of what runs beside the command, rows.
POINTS: dict[str, dict[str, int]] = {
    "import": {How.EVENT: 14, How.BYTES: 8},
    "sample": {How.EVENT: 10, How.BYTES: 10, COMMAND: 4},
    "annotate: verdicts": {
        How.EVENT: 14, How.BYTES: 6, COMMAND: 4, "warden": 6, "shim": 4, "containerd": 3, "engine": 4,
    },
    "annotate: times": {How.EVENT: 8, How.BYTES: 8, COMMAND: 2, "warden": 4, "shim": 2, "engine": 3},
    "merge": {How.EVENT: 14, How.BYTES: 8},
    "train: sft": {How.EVENT: 14, How.BYTES: 10},
    "train: dpo": {How.EVENT: 6, How.BYTES: 4},
    "train: rloo": {How.EVENT: 10, How.BYTES: 6, COMMAND: 2, "warden": 2},
    "eval": {How.EVENT: 12, How.BYTES: 6, COMMAND: 2, "warden": 2, "engine": 2},
    "stress": {How.EVENT: 4, How.BYTES: 2},
    "report": {How.EVENT: 8, How.BYTES: 4},
    "compare": {How.EVENT: 8, How.BYTES: 4},
    "export: outputs": {How.EVENT: 6, How.BYTES: 4},
    "export: preference": {How.EVENT: 8, How.BYTES: 4},
}


@dataclass(frozen=True, slots=True)
class Point:
    """victim: what is killed. how, at: an event's number, a file's byte, or a number of rows written."""

    stage: str
    victim: str
    how: str
    at: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """killed: whether the command (or its victim) was still there to be killed. first, again: exit codes.

    unequal: what is not as after an undisturbed run; problem: what else is wrong, in words.
    """

    point: Point
    killed: bool
    first: int
    again: int
    unequal: list[str]
    problem: str = ""

    @property
    def good(self) -> bool:
        return not self.unequal and not self.problem


def points(stage: Stage, wanted: dict[str, int], seed: int, events: int, most_bytes: int, rows: int) -> list[Point]:
    """Spread over the whole stage: one at a random place of each of as many equal parts as points are wanted."""
    chosen = []
    reach = {How.EVENT: events, How.BYTES: most_bytes}
    for how, count in wanted.items():
        rng = random.Random(f"{seed}:{stage.name}:{how}")
        last = reach.get(how, rows)
        for part in range(count):
            at = int(last * (part + rng.random()) / count) + (how == How.EVENT)
            victim = COMMAND if how in reach else how
            chosen.append(Point(stage.name, victim, how if how in reach else "rows", at))
    return list(dict.fromkeys(chosen))


def points_of(stage: Stage, world: World, wanted: dict[str, int], seed: int) -> list[Point]:
    expected = world.expected(stage)
    before = set() if not stage.begins else _files(world.expected(BY_NAME[stage.begins]))
    most_bytes = max(size for _, size, _ in _files(expected) - before)
    rows = _lines(expected / stage.grows) if stage.grows else 0
    return points(stage, wanted, seed, world.undisturbed[stage.name].events, most_bytes, rows)


def _files(folder: Path) -> set[tuple[str, int, int]]:
    """Name, size and time of change (ns)."""
    stats = ((path, path.stat()) for path in folder.rglob("*") if path.is_file())
    return {(str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns) for path, stat in stats}


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def strike(point: Point, world: World, engine: EngineConfig | None = None) -> Outcome:
    """Kill at that point, run the command again, compare."""
    stage = BY_NAME[point.stage]
    world.begin(stage)
    words, problem = world.words(stage), ""
    where = {"DOCKER_HOST": engine.url} if engine else {}
    if point.how == "rows":
        killed, first = _strike_outside(point, world, stage, engine, where)
    else:
        first = world.forks.run(words, Death(point.how, point.at, str(world.root)), **where)
        killed = first.code < 0
    if "Traceback" in first.printed or IN_USE in first.printed:
        problem = first.printed[-600:]
    again = world.forks.run(words, **where)
    if again.code != 0:
        problem = f"run again, it ended with {again.code}: {again.printed[-600:]}"
    return Outcome(point, killed, first.code, again.code, world.differences(stage), problem)


def _strike_outside(
    point: Point, world: World, stage: Stage, engine: EngineConfig | None, where: dict[str, str]
) -> tuple[bool, Ended]:
    pid = world.forks.start(world.words(stage), **where)
    path, end = world.root / stage.grows, time.monotonic() + 240

    def running() -> bool:
        return time.monotonic() < end and _is_running(pid)

    while running() and _lines(path) < point.at:
        time.sleep(0.005)
    if point.victim == COMMAND:
        killed = running()
        os.kill(pid, signal.SIGKILL)  # a process that has ended is still to be waited for
    else:
        assert engine is not None
        killed = kill(point.victim, engine, running)
    ended = world.forks.wait(pid)
    if engine is not None:
        mend(engine)
    return killed, ended


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def modules_for(stages: Sequence[Stage]) -> tuple[str, ...]:
    """What the commands of these stages, and of those that they begin after, load."""
    names = {stage.name for stage in stages}
    while more := {BY_NAME[name].begins for name in names if BY_NAME[name].begins} - names:
        names |= more
    drawing = any("{files}/tiny" in BY_NAME[name].words for name in names)
    training = any(BY_NAME[name].training for name in names)
    return (*(FOR_TRAINING if training else FOR_SAMPLING if drawing else ()), *FOR_THE_REST)


def run_matrix(stages: Sequence[Stage], seed: int, share: float, tell: Callable[[Outcome], None]) -> None:
    """share: of POINTS, at least one of each kind."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        forks = Forks(modules_for(stages), folder / "printed")
        stack.callback(forks.close)
        world = World(folder, forks)
        engine: EngineConfig | None = None
        for stage in stages:
            wanted = {how: max(1, round(share * count)) for how, count in POINTS[stage.name].items()}
            for point in points_of(stage, world, wanted, seed):
                beside = point.victim in VICTIMS
                if beside and privilege() is None:
                    continue
                if beside and engine is None:
                    engine = stack.enter_context(second_engine())
                used = engine if beside else None
                outcome = patiently(partial(strike, point, world, used), lambda outcome: outcome.problem)
                tell(outcome)


def table(outcomes: Sequence[Outcome]) -> Table:
    rows = []
    kinds = dict.fromkeys((one.point.stage, one.point.victim, one.point.how) for one in outcomes)
    for kind in kinds:
        of_kind = [one for one in outcomes if (one.point.stage, one.point.victim, one.point.how) == kind]
        killed = [one for one in of_kind if one.killed]
        stage, victim, how = kind
        equal = sum(one.good for one in killed)
        rows.append([stage, victim, _UNITS[how], str(len(killed)), str(equal), str(len(killed) - equal)])
    killed = [one for one in outcomes if one.killed]
    equal = sum(one.good for one in killed)
    rows.append(["all", "", "", str(len(killed)), str(equal), str(len(killed) - equal)])
    columns = ("stage", "killed", "at", "points", "equal ↑", "unequal ↓")
    missed = len(outcomes) - len(killed)
    note = (
        "Equal: after running the same command again, the files are those of an undisturbed run "
        f"(tests/faults/equality.py). Not counted: {missed} points that came after the command had ended."
    )
    return Table("kill -9, then the same command again", columns, rows, note)


_UNITS = {How.EVENT: "k-th change on the disk", How.BYTES: "n-th byte of a file", "rows": "n-th row"}


def write(path: Path, outcomes: Sequence[Outcome], seed: int) -> None:
    """JSON and the table beside it, after every point: a run of an hour may be cut short."""
    facts = {"schema": 1, "seed": seed, "machine": host_facts()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts | {"outcomes": [asdict(one) for one in outcomes]}, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(table(outcomes)))


def kept(path: Path, seed: int, names: Sequence[str]) -> list[Outcome]:
    """What an earlier run of other stages with the same seed has written there."""
    there = json.loads(path.read_text()) if path.exists() else {"seed": None}
    if there["seed"] != seed:
        return []
    rows = [row for row in there["outcomes"] if row["point"]["stage"] not in names]
    return [Outcome(**row | {"point": Point(**row["point"])}) for row in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a tenth of the points")
    parser.add_argument("--stages", help=f"only some of: {'; '.join(POINTS)} (others in --out stay)")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/faults.json"), help="JSON; tables beside it")
    options = parser.parse_args(arguments)
    names = [name.strip() for name in options.stages.split(";")] if options.stages else list(POINTS)
    stages = [stage for stage in STAGES if stage.name in names]
    share = 0.1 if options.quick else 1.0
    total = sum(max(1, round(share * count)) for stage in stages for count in POINTS[stage.name].values())
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    outcomes = kept(options.out, options.seed, names) if options.stages else []
    with ConsoleReporter().task("faults", total, unit="points") as task:

        def tell(outcome: Outcome) -> None:
            task.advance(note=outcome.point.stage)
            outcomes.append(outcome)
            write(options.out, outcomes, options.seed)
            if not outcome.good:
                console.print(f"UNEQUAL {outcome}", markup=False, soft_wrap=True)

        run_matrix(stages, options.seed, share, tell)
    show(table(outcomes), console)
    console.print(f"{options.out} and {options.out.with_suffix('.md')}", markup=False)
    return 0 if all(one.good for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
