"""The A/A run: programs that are the same but for names, comments and blank lines, timed as if they were different.

Whatever differs between them is noise, so
- a pair that is decided is a wrong label: there must be none;
- the scatter of their ratios says which gaps this machine can see.

δ, the smallest gap that is decided. A pair is decided (harness.timing.decisions) when the median of its ratios is at
least `min_ratio` and the lower end of its interval lies above `ratio_floor`. The interval reaches h below the mean, so
that a gap of g (as a logarithm) passes on average from g ≥ ln(min_ratio) and g - h > ln(ratio_floor) on:

    δ = max(min_ratio, ratio_floor · exp(h)) - 1        h = t(R - 1) · s / √R

R: rounds; t: Student's quantile of the interval's confidence; s: standard deviation of a pair's log-ratio from round to
round, never below `sd_floor`. s is taken from the identical pairs: nine of ten of them have none that is greater. δ is
for the rounds that every pair gets (`min_rounds`), the best δ for those that a close pair gets at most (`max_rounds`).
"On average": a gap just at δ is decided about every second time, one well above it always. Left out: the correction for
several pairs of one problem, which makes δ a little greater where few of them differ.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from string import Template

import numpy as np
from scipy.special import stdtrit

from harness.annotation.measuring import ProblemState, measured_blocks
from harness.annotation.settings import AnnotationSettings
from harness.doctor.facts import AaFacts
from harness.progress import Reporter
from harness.records import Comparison, Decision, MeasurementBlock, Problem, ProblemLabels
from harness.timing.decisions import DecisionSettings, decide
from harness.timing.statistics import log_times
from sandbox import Sandbox, SandboxError

BATCHES = 3  # times that all of it is done where that is quick: an idle machine takes three seconds for one
BATCH_SECONDS = 10.0  # after which no further one is begun
SECONDS = 25.0  # after which close pairs get no more rounds
MOST_SECONDS = 40.0  # after which disturbed blocks are not repeated any more either
WIDE = 0.9  # the share of pairs that δ is for


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of work. `body` names its local variables $a, $b, $c, $d."""

    name: str
    parameter: str
    body: str
    test: str


KINDS = (
    Kind(
        "integers",
        "n",
        "    $a = 0\n    for $b in range(n):\n        if $b % 3:\n            $a += $b * $b\n    return $a\n",
        "    assert candidate(1500) == 749999500\n    assert candidate(2) == 1\n",
    ),
    Kind(
        "lists and dictionaries",
        "items",
        "    $a = {}\n"
        "    for $b in items:\n"
        "        $a[$b] = $a.get($b, 0) + 1\n"
        "    $c = [$d for $d in $a if $a[$d] > 1]\n"
        "    $c.sort()\n"
        "    return $c\n",
        "    assert candidate([i * i % 101 for i in range(300)]) == sorted({i * i % 101 for i in range(300)})\n"
        "    assert candidate([3, 1, 3]) == [3]\n",
    ),
    Kind(
        "strings",
        "text",
        "    $a = []\n"
        "    for $b in text.split():\n"
        "        $a.append($b[::-1].upper())\n"
        '    $c = "-".join($a)\n'
        '    return $c.replace("A", "4")\n',
        '    assert candidate("ab cd") == "B4-DC"\n    assert len(candidate("some words are here " * 12)) == 239\n',
    ),
)
# One program a row. Six are 15 pairs a kind, so that a few may be lost and 30 remain.
NAMES = (
    ("a", "b", "c", "d"),
    ("total", "item", "result", "key"),
    ("_x1", "_x2", "_x3", "_x4"),
    ("the_value_so_far", "the_one_looked_at", "what_comes_of_it", "each_of_them"),
    ("r", "i", "out", "k"),
    ("Q", "W", "E", "R"),
)


def variants(kind: Kind) -> list[str]:
    """The same function in other words: other names of local variables, comments and blank lines."""
    return [_dressed(Template(kind.body).substitute(dict(zip("abcd", names, strict=True))), number)
            for number, names in enumerate(NAMES)]  # fmt: skip


def _dressed(body: str, number: int) -> str:
    """Blank lines and comments before some lines; none for number 0."""
    lines: list[str] = []
    for index, line in enumerate(body.splitlines()):
        if number and index % 2 == number % 2:
            lines += [""] * (number // 2) + ["    # " + "and so on " * number]
        lines.append(line)
    return "\n".join(lines) + "\n"


def problem(kind: Kind, batch: int = 0) -> Problem:
    prompt, test = f"def f({kind.parameter}):\n", f"def check(candidate):\n{kind.test}"
    return Problem(f"doctor/{kind.name}/{batch}", prompt, test, "f", split="", source="doctor")


def run_aa(core: int, reporter: Reporter) -> AaFacts:
    """Time the variants on one core with the default settings: ten seconds on an idle machine, at most MOST_SECONDS."""
    settings = AnnotationSettings()
    blocks: list[MeasurementBlock] = []
    first = settings.decision.min_rounds
    planned = BATCHES * len(KINDS) * first
    begin = time.monotonic()
    try:
        with Sandbox(cores=[core]) as sandbox, reporter.task("A/A run", planned, unit="blocks") as task:
            for block in _measured(core, sandbox, settings, reporter, begin):
                blocks.append(block)
                more = sum(block.round >= first for block in blocks)
                task.advance(block.round < first, note=f"{more} more for disturbed ones and close pairs" * (more > 0))
    except SandboxError as error:
        return AaFacts(error=f"could not be made: {error.what}")
    return judge(blocks, settings.decision, core=core, seconds=time.monotonic() - begin)


def _measured(
    core: int, sandbox: Sandbox, settings: AnnotationSettings, reporter: Reporter, begin: float
) -> Iterator[MeasurementBlock]:
    """The blocks of one batch after the other while there is time. begin: when the run began, by time.monotonic()."""
    for batch in range(BATCHES):
        used = time.monotonic() - begin
        if batch and used > BATCH_SECONDS:
            return
        states = [
            ProblemState(problem(kind, batch), {f"{batch}/{n}": code for n, code in enumerate(variants(kind))})
            for kind in KINDS
        ]
        of_batch = replace(settings, timing_seconds=SECONDS - used)
        for block in measured_blocks(states, [core], sandbox, of_batch, reporter.warn):
            yield block
            if time.monotonic() - begin > MOST_SECONDS:
                return


def judge(blocks: Sequence[MeasurementBlock], settings: DecisionSettings, *, core: int, seconds: float) -> AaFacts:
    """What the blocks of an A/A run say. Pairs with too few clean rounds, or with a flag, are left out of the figures;
    one that is decided is a wrong label whatever else it is.
    """
    by_task: dict[str, list[MeasurementBlock]] = {}
    for block in blocks:
        by_task.setdefault(block.task_id, []).append(block)
    all_labels = [decide(of_task, settings) for of_task in by_task.values()]
    pairs = [
        (pair, spread)
        for labels, of_task in zip(all_labels, by_task.values(), strict=True)
        for pair, spread in _pairs(labels, of_task, settings)
    ]
    spreads = [spread for _, spread in pairs]
    wide = float(np.quantile(spreads, WIDE)) if spreads else None
    timings = [one for block in blocks for one in block.solutions]
    redone, kept = sum(one.redone for one in timings), sum(len(one.cpu_ns) for one in timings)
    return AaFacts(
        error="" if pairs else "no pair could be timed often enough: the machine is too busy",
        pairs=len(pairs),
        decided=sum(pair.decision is Decision.QUICK for labels in all_labels for pair in labels.comparisons),
        flagged=sum(bool(label.flags) for labels in all_labels for label in labels.labels),
        rounds=int(np.median([pair.rounds for pair, _ in pairs])) if pairs else None,
        spread=float(np.median(spreads)) if spreads else None,
        wide_spread=wide,
        widest_gap=max((pair.ratio - 1 for pair, _ in pairs), default=None),
        delta=None if wide is None else smallest_gap(wide, settings.min_rounds, settings),
        best_delta=None if wide is None else smallest_gap(wide, settings.max_rounds, settings),
        contaminated=sum(block.contaminated for block in blocks) / len(blocks) if blocks else None,
        redone=redone / (redone + kept) if kept else None,
        core=core,
        seconds=seconds,
    )


def _pairs(
    labels: ProblemLabels, blocks: Sequence[MeasurementBlock], settings: DecisionSettings
) -> Iterator[tuple[Comparison, float]]:
    """The pairs of one sort of work that count, each with the standard deviation of its log-ratio over the rounds."""
    flagged = {label.solution_id for label in labels.labels if label.flags}
    ids = [label.solution_id for label in labels.labels]
    times = dict(zip(ids, log_times([block for block in blocks if not block.contaminated], ids), strict=True))
    for pair in labels.comparisons:
        if pair.rounds >= settings.min_rounds and not flagged & {pair.quick_id, pair.slow_id}:
            yield pair, float(np.nanstd(times[pair.slow_id] - times[pair.quick_id], ddof=1))


def smallest_gap(spread: float, rounds: int, settings: DecisionSettings) -> float:
    """δ of the module's text, as a share: 0.1 for a ratio of 1.1. spread: the standard deviation of log-ratios."""
    quantile = float(stdtrit(rounds - 1, 0.5 + settings.confidence / 2))
    half_width = quantile * max(spread, settings.sd_floor) / rounds**0.5
    return max(settings.min_ratio, settings.ratio_floor * float(np.exp(half_width))) - 1
