"""How often the rule decides rightly, wrongly and not at all, on made-up timings whose truth is known.

`make bench-timing-sim`. Drives harness.timing as the annotation does, with the noise of timing_noise.py. Exit code 1 if
under a preset the shipped rule orders identical solutions, or orders others wrongly, provably more often than 0.1%.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from scipy.special import betaincinv

from harness.progress import ConsoleReporter, Task
from harness.records import Decision, MeasurementBlock, SolutionTiming
from harness.timing.decisions import CONFIRM_FROM, DecisionSettings, decide
from harness.timing.rounds import next_step
from harness.timing.schedule import set_digest
from tests.benchmarks.tables import Table, markdown, number, show
from tests.benchmarks.timing_noise import DEFAULTS, PRESETS, TWO_MODES, Noise, noisy_block, programs

BASE_NS = 10_000.0  # true CPU time of the fastest solution's pass; only ratios matter
SIZES = (2, 10, 30)
GAPS = (0.0, 0.02, 0.05, 0.08, 0.10, 0.12, 0.15, 0.20, 0.30, 0.50, 1.0)
LADDER = tuple(1.025**step for step in range(10))  # true ratios within one problem: 2.5% to 25%
STATED_FALSE = 0.001  # docs/timing: decided pairs among identical solutions
WANTED_POWER, WANTED_GAP = 0.9, 0.15  # docs/timing: yield
ONE_MINIMUM_RATIO = 1.10
REPEATING_NOTHING = replace(DEFAULTS, max_redo=0)
FULL_TRIALS, QUICK_TRIALS = 400, 40
FULL_OUT, QUICK_OUT = Path("docs/benchmarks/timing-sim.json"), Path("runs/bench/timing-sim.json")

CONFIRMED = DecisionSettings(confirm_rounds=DecisionSettings().confirm_rounds or 5)
SCREENED = replace(CONFIRMED, confirm_rounds=0)
OURS, UNCONFIRMED = "confirmed", "screening only"
MEAN_WALL, MEAN_CPU, ONE_MINIMUM = "mean wall", "mean CPU", "one minimum, 10%"
RULES = (OURS, UNCONFIRMED, MEAN_WALL, MEAN_CPU, ONE_MINIMUM)

Order = set[tuple[str, str]]  # decided pairs: (quick, slow)


# ---- one problem -----------------------------------------------------------------------------------------------------


def measure_problem(
    true_ns: Sequence[float], noise: Noise, settings: DecisionSettings, rng: np.random.Generator
) -> list[MeasurementBlock]:
    """Measure as harness.annotation.measuring does, until there is nothing left to decide."""
    solutions = {one.solution_id: one for one in programs(true_ns, noise, rng)}
    digest = set_digest(solutions)
    blocks: list[MeasurementBlock] = []
    while (step := next_step(blocks, solutions, settings)) is not None:
        chosen = [solutions[one] for one in step.solution_ids]
        blocks.append(noisy_block(chosen, noise, rng, step.round, of=digest))
    return blocks


def our_order(blocks: Sequence[MeasurementBlock], settings: DecisionSettings) -> Order:
    found = decide(blocks, settings).comparisons
    return {(pair.quick_id, pair.slow_id) for pair in found if pair.decision is Decision.QUICK}


def order_by(time_of: Callable[[SolutionTiming], float], block: MeasurementBlock, least_ratio: float) -> Order:
    """What a rule says that has seen one process of each solution. Pairs whose ratio is above `least_ratio`."""
    times = sorted((time_of(one) / one.loops, one.solution_id) for one in block.solutions)
    return {(a, b) for i, (quick, a) in enumerate(times) for slow, b in times[i + 1 :] if slow > quick * least_ratio}


def orders(true_ns: Sequence[float], noise: Noise, seed: Sequence[int]) -> dict[str, tuple[Order, float]]:
    """What each rule decides about a problem, and the processes that it took per solution.

    All see the same data: without confirmation, what came before it; the rules without rounds, all samples of the first
    block's processes as they came, before our stopwatch repeats the disturbed ones.
    """
    blocks = measure_problem(true_ns, noise, CONFIRMED, np.random.default_rng(seed))
    screening = [block for block in blocks if block.round < CONFIRM_FROM]
    again = np.random.default_rng(seed)
    raw = noisy_block(programs(true_ns, noise, again), noise, again, timing=REPEATING_NOTHING)

    def processes(spent: Sequence[MeasurementBlock]) -> float:
        return sum(len(block.solutions) for block in spent) / len(true_ns)

    return {
        OURS: (our_order(blocks, CONFIRMED), processes(blocks)),
        UNCONFIRMED: (our_order(screening, SCREENED), processes(screening)),
        MEAN_WALL: (order_by(lambda one: float(np.mean(one.wall_ns)), raw, 1.0), 1.0),
        MEAN_CPU: (order_by(lambda one: float(np.mean(one.cpu_ns)), raw, 1.0), 1.0),
        ONE_MINIMUM: (order_by(lambda one: float(min(one.cpu_ns)), raw, ONE_MINIMUM_RATIO), 1.0),
    }


# ---- many problems ---------------------------------------------------------------------------------------------------


@dataclass
class Count:
    """Pairs of one true gap that one rule has met under one noise."""

    pairs: int = 0
    right: int = 0
    wrong: int = 0  # decided the other way round, or decided where there is no order
    problems: int = 0
    problems_wrong: int = 0  # with at least one such pair
    processes: float = 0.0  # per solution, summed over the problems


@dataclass
class Simulation:
    """`counts[experiment, noise, gap, rule]`; experiments: "identical 2" and so on, "pair", "ladder", "two modes"."""

    trials: int
    seed: int
    counts: dict[tuple[str, str, float, str], Count] = field(default_factory=dict)
    seconds: float = 0.0

    def at(self, experiment: str, noise: str, gap: float, rule: str) -> Count:
        return self.counts.setdefault((experiment, noise, gap, rule), Count())


@dataclass(frozen=True, slots=True)
class Experiment:
    """`problems` problems with these true ratios to the fastest."""

    name: str
    noise: Noise
    ratios: tuple[float, ...]
    problems: int


def experiments(trials: int) -> list[Experiment]:
    """trials: pairs for each true gap. Identical pairs are ten times as many: what is bounded there is 0.1%."""
    made = []
    for noise in PRESETS.values():
        made += [Experiment("pair", noise, (1.0, 1.0 + gap), trials) for gap in GAPS if gap]
        for size, problems in zip(SIZES, (10 * trials, trials, max(1, trials // 8)), strict=True):
            made.append(Experiment(f"identical {size}", noise, (1.0,) * size, problems))
        made.append(Experiment("ladder", noise, LADDER, max(1, trials // 3)))
    return made + [Experiment("two modes", noise, (1.0, 1.0), 3 * trials) for noise in TWO_MODES.values()]


def simulate(trials: int, seed: int, task: Task | None = None) -> Simulation:
    simulation = Simulation(trials, seed)
    begin = time.monotonic()
    for which, experiment in enumerate(experiments(trials)):
        for problem in range(experiment.problems):
            # Which id the slower one has must not matter; ties are broken by id.
            turn = -1 if problem % 2 else 1
            true_ns = [BASE_NS * ratio for ratio in experiment.ratios[::turn]]
            found = orders(true_ns, experiment.noise, (seed, which, problem))
            for rule, (decided, processes) in found.items():
                _add(simulation, experiment, rule, true_ns, decided, processes)
            if task:
                task.advance(note=f"{experiment.noise.name}, {experiment.name}")
    simulation.seconds = time.monotonic() - begin
    return simulation


def _add(
    simulation: Simulation,
    experiment: Experiment,
    rule: str,
    true_ns: Sequence[float],
    decided: Order,
    processes: float,
) -> None:
    met: dict[float, Count] = {}
    wrong: set[float] = set()
    for gap, verdict in verdicts(true_ns, decided):
        count = met.setdefault(gap, simulation.at(experiment.name, experiment.noise.name, gap, rule))
        count.pairs += 1
        count.right += verdict > 0
        count.wrong += verdict < 0
        if verdict < 0:
            wrong.add(gap)
    for gap, count in met.items():
        count.problems += 1
        count.problems_wrong += gap in wrong
        count.processes += processes


def verdicts(true_ns: Sequence[float], decided: Order) -> Iterator[tuple[float, int]]:
    """For each pair its true gap and 1 (order found), -1 (wrong order, or an order where there is none) or 0."""
    names = [f"s{i:03}" for i in range(len(true_ns))]
    for i, one in enumerate(true_ns):
        for j in range(i + 1, len(true_ns)):
            other = true_ns[j]
            gap = round(max(one, other) / min(one, other) - 1, 4)
            forward, backward = (names[i], names[j]) in decided, (names[j], names[i]) in decided
            right = (forward and one < other) or (backward and other < one)
            yield gap, 1 if right else -1 if forward or backward else 0


def exact_bounds(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a share that are missed at most as often as they say (Clopper & Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return low, high


# ---- what a person sees ----------------------------------------------------------------------------------------------

GAP_GROUPS = ((0.0, 0.05), (0.05, 0.10), (0.10, 0.15), (0.15, 0.25), (0.25, 2.0))  # true gaps, the upper end excluded


def pooled(
    simulation: Simulation, rule: str, noise: str, experiments: Sequence[str], gaps: tuple[float, float] = (0.0, 2.0)
) -> Count:
    """One rule's counts over several experiments and all their true gaps from the first to below the second."""
    total = Count()
    for (experiment, under, gap, by), count in simulation.counts.items():
        if (under, by) == (noise, rule) and experiment in experiments and gaps[0] <= gap < gaps[1]:
            for name, value in asdict(count).items():
                setattr(total, name, getattr(total, name) + value)
    return total


def share(successes: int, trials: int, *, bounds: bool = True) -> str:
    """In per cent, with exact 95% bounds; more digits where it matters."""
    if not trials:
        return "–"

    def percent(value: float) -> str:
        return f"{100 * value:.{0 if value in (0, 1) else 3 if value < 0.005 else 1}f}"

    shown = percent(successes / trials)
    return f"{shown} [{', '.join(map(percent, exact_bounds(successes, trials)))}]%" if bounds else f"{shown}%"


def sim_tables(simulation: Simulation) -> list[Table]:
    return [
        _aims_table(simulation),
        *_identical_tables(simulation),
        _power_table(simulation),
        _gap_table(simulation),
        _modes_table(simulation),
        _noise_table(),
    ]


def _aims_table(simulation: Simulation) -> Table:
    rows = []
    for noise in PRESETS:
        identical = pooled(simulation, OURS, noise, ["identical 2"])
        others = pooled(simulation, OURS, noise, ["pair", "ladder"])
        near = pooled(simulation, OURS, noise, ["pair", "ladder"], (0.0, 0.05))
        wide = pooled(simulation, OURS, noise, ["pair", "ladder"], (WANTED_GAP, 2.0))
        at_gap = simulation.at("pair", noise, WANTED_GAP, OURS)
        rows.append(
            [
                noise,
                share(identical.wrong, identical.pairs),
                share(others.wrong, others.pairs),
                share(near.right + near.wrong, near.pairs),
                share(wide.right, wide.pairs),
                share(at_gap.right, at_gap.pairs),
            ]
        )
    columns = (
        "noise", "identical pairs decided (≤ 0.1%)", "wrong order (≤ 0.1%)", "decided though true gap < 5%",
        "gaps ≥ 15% decided (≥ 90%)", "gap of 15% decided",
    )  # fmt: skip
    note = (
        f"Made-up noise, {simulation.trials} trials, seed {simulation.seed}. In brackets: exact 95% bounds, which take "
        "pairs as independent (those of one problem aren't quite). Aims in parentheses: docs/timing. How many of the "
        "gaps ≥ 15% are wide is this benchmark's choice: the table of power has each."
    )
    return Table("The shipped rule (with confirmation) against its aims", columns, rows, note)


def _identical_tables(simulation: Simulation) -> list[Table]:
    pairs, problems = [], []
    for noise in PRESETS:
        for size in SIZES:
            counts = [simulation.at(f"identical {size}", noise, 0.0, rule) for rule in RULES]
            head = [noise, str(size)]
            pairs.append([*head, f"{counts[0].pairs:,}", *(share(one.wrong, one.pairs) for one in counts)])
            problems.append(
                [*head, f"{counts[0].problems:,}", *(share(one.problems_wrong, one.problems) for one in counts)]
            )
    columns = ("noise", "solutions", "pairs", *RULES)
    return [
        Table("Identical solutions: pairs that were decided", columns, pairs),
        Table(
            "Identical solutions: problems with a decided pair", ("noise", "solutions", "problems", *RULES), problems
        ),
    ]


def _power_table(simulation: Simulation) -> Table:
    rows = []
    for gap in GAPS:
        row = [f"{gap:.0%}"]
        for noise in PRESETS:
            experiment = "pair" if gap else "identical 2"
            ours, screened = (simulation.at(experiment, noise, gap, rule) for rule in (OURS, UNCONFIRMED))
            for one in (screened, ours):
                row.append(share(one.right if gap else one.wrong, one.pairs, bounds=False))
            row += [number(one.processes / one.problems if one.problems else None) for one in (screened, ours)]
        rows.append(row)
    each = ("screening only", OURS, "rounds, screening", "rounds, all")
    columns = ("true gap", *(f"{noise}: {what}" for noise in PRESETS for what in each))
    note = (
        f"Two solutions. Decided in the right order (0%: decided at all), and mean rounds of a problem, disturbed ones "
        f"included. {simulation.trials} pairs for each gap and noise, so ± {98 / simulation.trials**0.5:.0f} points at "
        f"worst. Confirmation: {CONFIRMED.confirm_rounds} rounds."
    )
    return Table("Power", columns, rows, note)


def _gap_table(simulation: Simulation) -> Table:
    rows = []
    for noise in PRESETS:
        for low, high in GAP_GROUPS:
            counts = [pooled(simulation, rule, noise, ["pair", "ladder"], (low, high)) for rule in RULES]
            title = f"{low:.0%} to {high:.0%}" if high < 1 else f"{low:.0%} and more"
            cells = [f"{100 * one.right / one.pairs:.1f} / {100 * one.wrong / one.pairs:.2f}" for one in counts]
            rows.append([noise, title, f"{counts[0].pairs:,}", *cells])
    note = (
        "Per cent of pairs decided rightly / in the wrong order. Pairs, and problems of ten solutions 2.5% apart; none "
        "identical. The last three rules see one process of each solution: any difference of the means counts, or one "
        "of 10% of the minima."
    )
    return Table("Right and wrong order by true gap", ("noise", "true gap", "pairs", *RULES), rows, note)


def _modes_table(simulation: Simulation) -> Table:
    rows = []
    for noise in TWO_MODES:
        counts = [simulation.at("two modes", noise, 0.0, rule) for rule in RULES]
        rows.append([noise, f"{counts[0].pairs:,}", *(share(one.wrong, one.pairs) for one in counts)])
    note = "Beyond the presets: the worst kind of noise for an interval that takes values as near normal."
    return Table("Identical pairs whose processes have two modes", ("noise", "pairs", *RULES), rows, note)


def _noise_table() -> Table:
    presets = [asdict(noise) for noise in PRESETS.values()]
    rows = [[name, *(f"{one[name]:g}" for one in presets)] for name in presets[0] if name != "name"]
    return Table("The noise", ("parameter", *PRESETS), rows, "What they mean: tests/benchmarks/timing_noise.py.")


def failures(simulation: Simulation) -> list[str]:
    """Where the shipped rule is provably worse than what is stated, each in words."""
    found = []
    for noise in PRESETS:
        for what, experiments in (("identical pairs decided", ["identical 2"]), ("wrong order", ["pair", "ladder"])):
            count = pooled(simulation, OURS, noise, experiments)
            if count.pairs and exact_bounds(count.wrong, count.pairs)[0] > STATED_FALSE:
                found.append(f"{noise}: {what}: {share(count.wrong, count.pairs)}, stated {STATED_FALSE:.1%}")
    return found


COLOURS = dict(zip(RULES, ("#1b6ca8", "#7fb2d9", "#b5402f", "#d98c3f", "#5f8a3a"), strict=True))


def draw(simulation: Simulation, path: Path) -> None:
    """Power curves of each preset, and what is decided among identical solutions."""
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    panels = figure.subplots(2, 2).flat
    for axes, noise in zip(panels, PRESETS, strict=False):
        _draw_power(axes, simulation, noise)
    _draw_identical(list(figure.axes)[len(PRESETS)], simulation)
    figure.axes[0].legend(frameon=False, fontsize=8, loc="center right")
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.4, alpha=0.5)
    figure.savefig(path, dpi=110)


def _draw_power(axes: Axes, simulation: Simulation, noise: str) -> None:
    gaps = [gap for gap in GAPS if gap]
    for rule in RULES:
        counts = [simulation.at("pair", noise, gap, rule) for gap in gaps]
        bounds = [exact_bounds(one.right, one.pairs) for one in counts]
        axes.plot([one.right / one.pairs for one in counts], color=COLOURS[rule], marker=".", label=rule)
        wrong = [one.wrong / one.pairs for one in counts]
        axes.plot(wrong, color=COLOURS[rule], linewidth=1, linestyle="--")
        low, high = zip(*bounds, strict=True)
        axes.fill_between(range(len(gaps)), low, high, color=COLOURS[rule], alpha=0.15, linewidth=0)
    axes.axhline(WANTED_POWER, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(
        title=f"{noise}: pairs in the right order (dashed: in the wrong one)", xlabel="true gap", ylim=(-0.01, 1.02)
    )
    axes.set_xticks(range(len(gaps)), [f"{gap:.0%}" for gap in gaps])


def _draw_identical(axes: Axes, simulation: Simulation) -> None:
    labels = [f"{noise}\n{size}" for noise in PRESETS for size in SIZES]
    for position, rule in enumerate(RULES):
        counts = [simulation.at(f"identical {size}", noise, 0.0, rule) for noise in PRESETS for size in SIZES]
        for place, one in enumerate(counts):
            low, high = exact_bounds(one.wrong, one.pairs)
            where = place + (position - 2) * 0.14
            axes.plot([where, where], [max(low, 1e-5), high], color=COLOURS[rule], linewidth=2)
            axes.plot(where, max(one.wrong / one.pairs, 1e-5), color=COLOURS[rule], marker=".")
    axes.axhline(STATED_FALSE, color="#888888", linewidth=0.8, linestyle=":")
    axes.set(title="identical solutions: share of pairs decided, 95% bounds", yscale="log", ylim=(1e-5, 1.2))
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel("noise and number of solutions (a point at the bottom: none)")


# ---- the command -----------------------------------------------------------------------------------------------------


def content(simulation: Simulation) -> dict[str, Any]:
    keys = ("experiment", "noise", "gap", "rule")
    return {
        "schema": 1,
        "seed": simulation.seed,
        "trials": simulation.trials,
        "seconds": round(simulation.seconds, 1),
        "settings": {OURS: asdict(CONFIRMED), UNCONFIRMED: asdict(SCREENED)},
        "noise": {name: asdict(noise) for name, noise in (PRESETS | TWO_MODES).items()},
        "failures": failures(simulation),
        "counts": [
            dict(zip(keys, key, strict=True)) | asdict(count) | {"processes": round(count.processes, 3)}
            for key, count in simulation.counts.items()
        ],
    }


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmarks.timing_sim", description=__doc__)
    made.add_argument("--quick", action="store_true", help=f"{QUICK_TRIALS} trials instead of {FULL_TRIALS}")
    made.add_argument("--seed", type=int, default=1, help="of all noise (default 1)")
    made.add_argument("--trials", type=int, help="pairs for each gap and noise; identical pairs: ten times as many")
    made.add_argument(
        "--out", type=Path, help=f"JSON; tables and plot beside it (default {FULL_OUT}, with --quick {QUICK_OUT})"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    trials = options.trials or (QUICK_TRIALS if options.quick else FULL_TRIALS)
    out = options.out or (QUICK_OUT if options.quick else FULL_OUT)
    if trials < 1:
        parser().error("--trials must be 1 or more")
    with ConsoleReporter().task(
        "simulation", sum(one.problems for one in experiments(trials)), unit="problems"
    ) as task:
        simulation = simulate(trials, options.seed, task)
    tables, failed = sim_tables(simulation), failures(simulation)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content(simulation), indent=1) + "\n")
    out.with_suffix(".md").write_text("\n".join(markdown(table) for table in tables))
    draw(simulation, out.with_suffix(".png"))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for table in tables:
        show(table, console)
    for failure in failed:
        console.print(f"FAILED: {failure}", markup=False, soft_wrap=True)
    beside = ", ".join(str(out.with_suffix(suffix)) for suffix in (".json", ".md", ".png"))
    console.print(f"{beside}; {simulation.seconds:.0f} s", markup=False, soft_wrap=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
