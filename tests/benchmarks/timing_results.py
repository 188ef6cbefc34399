"""The timing benchmark's file, tables and plot, from what was measured."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.records import MeasurementBlock
from harness.timing.decisions import CONFIRM_FROM, decide, spoilt
from harness.timing.statistics import log_times, pair_indices, paired_log_ratios
from tests.benchmarks.tables import Table, number
from tests.benchmarks.timing_figures import (
    Key,
    Pair,
    Share,
    again,
    decided_pairs,
    false_decisions,
    median_spread,
    orders_by_time,
    run_times,
    seen_orders,
    share_above,
    without,
    wrong_by_gap,
    yield_by_gap,
)

if TYPE_CHECKING:
    from tests.benchmarks.timing import Everything

OURS, PUBLISHED, NAIVE = "ours", "published method", "naive mean of wall times"
GAPS = (0.0, 0.05, 0.1, 0.2)
GATES = (0.0, 0.05, 0.15, 0.3)
TRUE_GAP = 1.15
PYPERF_GAP = 1.1
AIMS = {
    "again": "≥ 99.9%", "identical": "≤ 0.1%", "pyperf": "≥ 99.5%", "yield": "≥ 90%", "cost": "≤ 0.06, ≤ 0.3 in all",
}  # fmt: skip


def written(measured: Everything) -> dict[str, Any]:
    """All figures, with numbers of pairs, as the file has them."""
    chosen, settings = measured.chosen, measured.settings
    idle, loaded = (run.labels(settings) for run in measured.ours)
    copies = {key for key in chosen.works if key not in set(chosen.originals)}
    truth = without(_pooled(measured), copies)
    decided = (decided_pairs(idle), decided_pairs(loaded))
    real = tuple(without(pairs, copies) for pairs in decided)
    labels = sum(len(known.labels) for known in idle)
    naive = tuple(run.naive() for run in measured.ours)
    published = tuple(one.times for one in measured.legacy)
    pyperf = {pair: ratio for pair, ratio in orders_by_time(measured.pyperf).items() if ratio >= PYPERF_GAP}
    return {
        "schema": 1,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "sets": {
            "problems": len(idle), "solutions": len(chosen.originals), "copies": len(copies), "timed": labels,
            "pyperf": len(measured.pyperf), "published_loaded": len(published[1]),
        },
        "again": [
            {"method": OURS, "gap": "decided", **again(real[0], seen_orders(loaded)).as_json()},
            {"method": OURS, "gap": "decided, loaded → idle", **again(real[1], seen_orders(idle)).as_json()},
            *_again(PUBLISHED, published, copies),
            *_again(NAIVE, naive, copies),
        ],
        "both": _both(*real),
        "identical": [
            _identical(OURS, "decided, idle", decided[0], run_times(idle), chosen.groups),
            _identical(OURS, "decided, busy", decided[1], run_times(loaded), chosen.groups),
            _both_runs(decided, chosen.groups),
            *(_identical(PUBLISHED, _gap(gap), orders_by_time(published[0], gap), published[0], chosen.groups)
              for gap in GAPS),
            *(_identical(NAIVE, _gap(gap), orders_by_time(naive[0], gap), naive[0], chosen.groups) for gap in GAPS),
        ],
        "pyperf": [
            {"method": OURS, "pairs": "decided", **again(set(real[0]) & _either(pyperf), pyperf).as_json()},
            {"method": OURS, "pairs": "all", **again(seen_orders(idle), pyperf).as_json()},
            {"method": PUBLISHED, "pairs": "all", **again(orders_by_time(published[0]), pyperf).as_json()},
            {"method": NAIVE, "pairs": "all", **again(orders_by_time(naive[0]), pyperf).as_json()},
        ],
        "pyperf_disagreements": _disagreements(real[0], pyperf),
        "yield": {
            "idle": _bins(yield_by_gap(real[0], truth)), "busy": _bins(yield_by_gap(real[1], truth)),
            "idle_above": share_above(yield_by_gap(real[0], truth), TRUE_GAP).as_json(),
            "busy_above": share_above(yield_by_gap(real[1], truth), TRUE_GAP).as_json(),
        },
        "wrong": {
            OURS: _bins(wrong_by_gap(real[0], truth)),
            PUBLISHED: _bins(wrong_by_gap(without(orders_by_time(published[0]), copies), truth)),
            NAIVE: _bins(wrong_by_gap(without(orders_by_time(naive[0]), copies), truth)),
        },
        "cost": _cost(measured, labels),
        "flags": dict(Counter(flag.partition(":")[0] for known in idle for one in known.labels for flag in one.flags)),
        "gate": [row for run in measured.ours for row in gate(run.rows())],
        "blocks": [_block_counts(run.blocks.values()) for run in measured.ours],
        "spoilt": sum(spoilt(one.flags) for known in idle for one in known.labels),
    }  # fmt: skip


def _pooled(measured: Everything) -> dict[Pair, float]:
    """The best that is known: the median ratio over all undisturbed rounds of both runs."""
    pooled = []
    for task in measured.ours[0].blocks:
        blocks = [block for run in measured.ours for block in run.blocks.get(task, ())]
        pooled.append(decide(blocks, measured.settings.decision))
    return seen_orders(pooled)


def _again(method: str, times: Sequence[Mapping[Key, float]], copies: set[Key]) -> list[dict[str, Any]]:
    first, second = ({key: ns for key, ns in one.items() if key not in copies} for one in times)
    return [
        {"method": method, "gap": _gap(gap), **again(orders_by_time(first, gap), orders_by_time(second)).as_json()}
        for gap in GAPS
    ]


def _both(first: Mapping[Pair, float], second: Mapping[Pair, float]) -> dict[str, int]:
    turned = {(task, slow, quick) for task, quick, slow in second}
    return {"same": len(first.keys() & second.keys()), "opposite": len(first.keys() & turned)}


def _identical(
    method: str, gap: str, pairs: Mapping[Pair, float], times: Mapping[Key, float], groups: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    found = false_decisions(pairs, groups).as_json()
    return {"method": method, "gap": gap, "spread": median_spread(times, groups), **found}


def _both_runs(decided: Sequence[Mapping[Pair, float]], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    found = [false_decisions(pairs, groups) for pairs in decided]
    pooled = Share(sum(one.hits for one in found), sum(one.count for one in found))
    return {"method": OURS, "gap": "decided, both runs", "spread": None, **pooled.as_json()}


def _either(pairs: Mapping[Pair, float]) -> set[Pair]:
    return {*pairs, *((task, slow, quick) for task, quick, slow in pairs)}


def _disagreements(decided: Mapping[Pair, float], pyperf: Mapping[Pair, float]) -> list[Any]:
    return [
        {"task": task, "quick": quick, "slow": slow, "ours": ratio, "pyperf_turned": pyperf[task, slow, quick]}
        for (task, quick, slow), ratio in decided.items()
        if (task, slow, quick) in pyperf
    ]


def _gap(gap: float) -> str:
    return f"≥ {gap:.0%}" if gap else "any"


def _bins(rows: Sequence[tuple[float, float, Share]]) -> list[dict[str, Any]]:
    return [{"from": low, "to": high if high < 1e9 else None, **share.as_json()} for low, high, share in rows]


def _cost(measured: Everything, labels: int) -> dict[str, float]:
    """CPU seconds a label: containers and host process; the screening's part by its share of the blocks' time."""
    idle = measured.ours[0]
    total = (idle.container_cpu_s + idle.host_cpu_s) / max(1, labels)
    screen = total * idle.seconds(screening=True) / max(1e-9, idle.seconds(screening=False))
    published = measured.legacy[0]
    return {
        "screen": screen, "total": total, "host": idle.host_cpu_s / max(1, labels),
        "published": published.cpu_s / max(1, len(published.times)),
        "published_measured": published.measured / max(1, published.passes),
        "wall_idle_s": idle.wall_s, "wall_busy_s": measured.ours[1].wall_s,
    }  # fmt: skip


def gate(blocks: Sequence[MeasurementBlock]) -> list[dict[str, Any]]:
    """How far a pair's ratio in one block is from its median over the run, by how far off the reference was."""
    usual = median(one for block in blocks for one in block.reference_ns)
    found: dict[float, list[float]] = {}
    for own in _by_task(blocks).values():
        times = log_times(own, sorted({one.solution_id for block in own for one in block.solutions}))
        ratios = paired_log_ratios(times, *pair_indices(len(times)))
        ratios = ratios[(~np.isnan(ratios)).sum(axis=1) >= 3]
        distances = np.abs(ratios - np.nanmedian(ratios, axis=1, keepdims=True))
        for column, block in enumerate(own):
            off = max(abs(one - usual) for one in block.reference_ns) / usual
            level = max(level for level in GATES if off >= level)
            found.setdefault(level, []).extend(distances[~np.isnan(distances[:, column]), column].tolist())
    return [
        {"off": level, "count": len(far), "median": median(far), "p90": sorted(far)[9 * len(far) // 10]}
        for level, far in sorted(found.items())
        if far
    ]


def _by_task(blocks: Iterable[MeasurementBlock]) -> dict[str, list[MeasurementBlock]]:
    found: dict[str, list[MeasurementBlock]] = {}
    for block in blocks:
        found.setdefault(block.task_id, []).append(block)
    return found


def _block_counts(problems: Any) -> dict[str, int]:
    blocks: list[MeasurementBlock] = [block for one in problems for block in one]
    return {
        "all": len(blocks),
        "contaminated": sum(block.contaminated for block in blocks),
        "confirming": sum(block.round >= CONFIRM_FROM for block in blocks),
        "processes": sum(len(block.solutions) for block in blocks),
        "redone": sum(one.redone for block in blocks for one in block.solutions),
    }


# ---- tables ---------------------------------------------------------------------------------------------------------


def percent(share: Mapping[str, Any], digits: int = 2) -> str:
    if not share["count"]:
        return "–"
    bounds = f"[{100 * share['low']:.{digits}f}, {100 * share['high']:.{digits}f}]"
    return f"{100 * share['share']:.{digits}f}% {bounds} of {share['count']:,}"


def result_tables(result: Mapping[str, Any]) -> list[Table]:
    return [_summary(result), _again_table(result), _identical_table(result), _gaps_table(result), _gate_table(result)]


def _summary(result: Mapping[str, Any]) -> Table:
    cost, sets = result["cost"], result["sets"]

    def of(rows: Sequence[Mapping[str, Any]], method: str) -> Mapping[str, Any]:
        return next(row for row in rows if row["method"] == method)

    rows = [
        ["order seen again, idle → busy neighbour ↑", AIMS["again"],
         *(percent(of(result["again"], method)) for method in (OURS, PUBLISHED, NAIVE))],
        ["decided among identical programs ↓", AIMS["identical"],
         percent(next(row for row in result["identical"] if row["gap"] == "decided, both runs")),
         *(percent(of(result["identical"], method)) for method in (PUBLISHED, NAIVE))],
        [f"agrees with pyperf (its gap ≥ {PYPERF_GAP - 1:.0%}) ↑", AIMS["pyperf"],
         *(percent(of(result["pyperf"], method)) for method in (OURS, PUBLISHED, NAIVE))],
        [f"decided of the pairs with a true gap ≥ {TRUE_GAP - 1:.0%} ↑", AIMS["yield"],
         f"{percent(result['yield']['idle_above'])}; busy {percent(result['yield']['busy_above'])}", "all", "all"],
        ["CPU seconds a label ↓", AIMS["cost"],
         f"{cost['screen']:.3f} screen, {cost['total']:.3f} in all", f"{cost['published']:.3f}", "–"],
    ]  # fmt: skip
    note = (
        f"{sets['solutions']} distinct passing solutions of {sets['problems']} problems (StarCoder-1B, released), "
        f"{sets['copies']} identical copies; pyperf timed {sets['pyperf']} of them. In brackets: exact 95% intervals. "
        f"{result['spoilt']} solutions are compared with nobody, flags: {result['flags']}. True gap: median ratio over "
        f"all rounds of both runs. Pairs decided in both runs: {result['both']['same']:,} alike, "
        f"{result['both']['opposite']} opposite."
    )
    return Table("Are the labels true?", ("figure", "aim", OURS, PUBLISHED, NAIVE), rows, note)


def _again_table(result: Mapping[str, Any]) -> Table:
    rows = [[row["method"], row["gap"], percent(row)] for row in result["again"]]
    count = result["sets"]["published_loaded"]
    note = f"Gap: by the method's own first figures. The published method was repeated on {count} solutions."
    return Table("Order of pairs seen again", ("method", "gap", "same order ↑"), rows, note)


def _identical_table(result: Mapping[str, Any]) -> Table:
    rows = [[row["method"], row["gap"], percent(row), number(row["spread"], 2)] for row in result["identical"]]
    return Table("Identical programs", ("method", "ordered if", "ordered ↓", "median spread of run times, × ↓"), rows)


def _gaps_table(result: Mapping[str, Any]) -> Table:
    rows = []
    for idle, busy, *wrong in zip(
        result["yield"]["idle"], result["yield"]["busy"], *(result["wrong"][m] for m in (OURS, PUBLISHED, NAIVE)),
        strict=True,
    ):  # fmt: skip
        to = "" if idle["to"] is None else f"–{idle['to']:g}"
        rows.append([f"{idle['from']:g}{to}", percent(idle, 1), percent(busy, 1), *(percent(one, 1) for one in wrong)])
    columns = ("true ratio", "decided, idle", "decided, busy", *(f"wrong: {m}" for m in (OURS, PUBLISHED, NAIVE)))
    counts = [f"{name}: {value}" for run in result["blocks"] for name, value in run.items()]
    return Table("By true gap", columns, rows, f"Blocks, idle then busy: {', '.join(counts)}.")


def _gate_table(result: Mapping[str, Any]) -> Table:
    rows = [
        [f"≥ {row['off']:.0%}", f"{row['count']:,}", f"{row['median']:.1%}", f"{row['p90']:.1%}"]
        for row in result["gate"]
    ]
    note = "Idle first, then beside the busy neighbour. Contaminated blocks included: the gate is what this is about."
    columns = ("reference off its median by", "ratios", "median distance from the pair's median", "90th percentile")
    return Table("What the gate keeps out", columns, rows, note)


# ---- plot -----------------------------------------------------------------------------------------------------------


def write_plot(result: Mapping[str, Any], path: Path) -> None:
    """Yield and error by true gap."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharex=True)
    names = [f"{one['from']:g}–{one['to']:g}" if one["to"] else f"{one['from']:g}+" for one in result["yield"]["idle"]]
    for rows, label, colour in (
        (result["yield"]["idle"], "idle", "#1b6ca8"), (result["yield"]["busy"], "busy neighbour", "#7fb2d6"),
    ):  # fmt: skip
        _line(left, names, rows, label, colour)
    for method, colour in ((OURS, "#1b6ca8"), (PUBLISHED, "#c2452d"), (NAIVE, "#8a8a8a")):
        _line(right, names, result["wrong"][method], method, colour)
    left.set_title("Ours: share of pairs decided")
    right.set_title("Share of ordered pairs in the wrong order")
    for axes in (left, right):
        axes.set_xlabel("true ratio of the two run times")
        axes.set_ylim(-0.02, 1.02 if axes is left else 0.92)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.tick_params(axis="x", rotation=45)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="lower right" if axes is left else "upper right")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _line(axes: Any, names: Sequence[str], rows: Sequence[Mapping[str, Any]], label: str, colour: str) -> None:
    known = [(name, row) for name, row in zip(names, rows, strict=True) if row["count"]]
    shares = [row["share"] for _, row in known]
    errors = [[row["share"] - row["low"] for _, row in known], [row["high"] - row["share"] for _, row in known]]
    axes.errorbar([name for name, _ in known], shares, yerr=errors, label=label, color=colour, marker="o", capsize=2)
