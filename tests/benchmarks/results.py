"""The tables of `bench-sandbox`, made from what its file holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.benchmarks.comparison import LEAST_RUNS
from tests.benchmarks.figures import Range
from tests.benchmarks.tables import Table, number, ranged

SHOWN_DIFFERENCES = 30


def result_tables(result: Mapping[str, Any]) -> list[Table]:
    tables = [_systems(result), _ratios(result), _agreement(result)]
    if result["forging"]:
        tables.append(_accepted(result))
    differences = [one | {"set": group["name"]} for group in result["agreement"] for one in group["differences"]]
    if differences:
        tables.append(_differences(differences))
    return tables


def _range(facts: Mapping[str, Any] | None) -> Range | None:
    return Range(**facts) if facts else None


def _systems(result: Mapping[str, Any]) -> Table:
    forged = {one["system"]: f"{len(one['accepted'])} of {one['tried']}" for one in result["forging"]}
    rows = [
        [
            f"{row['system']} ({row['set']})",
            f"{row['runs']:,}",
            ranged(_range(row["rate"])),
            ranged(_range(row["cpu_ms"]), 2),
            ranged(_range(row["host_cpu_ms"]), 2),
            ranged(_range(row["machine_ms"]), 2),
            f"{row['agreed'][0]:,} of {row['agreed'][1]:,}",
            forged.get(row["system"], "not tried"),
        ]
        for row in result["systems"]
    ]
    columns = (
        "system (set)", "runs a round", "solutions/s per core ↑", "CPU ms a run ↓", "of it on the host ↓",
        "machine busy, ms a run ↓", "agrees with the labels ↑", "forged passes accepted ↓",
    )  # fmt: skip
    sets, settings = result["sets"], result["settings"]
    note = (
        f"Timed rounds: {settings['rounds']}, order rotated, cores {settings['cores']}; median [lowest, highest]. "
        f"Released StarCoder-1B solutions: sample {sets['sample']}, of which EvalPlus can express {sets['cases']} "
        f"(cases), docker run {sets['few']} (few). Left out of times: {len(result['left_out'])} that met a time limit. "
        "CPU: host process and containers; the engine's own is only in `machine busy`, with all else that ran."
    )
    return Table("Side by side", columns, rows, note)


def _ratios(result: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"ours / {row['peer']}",
            f"{row['runs']:,}",
            ranged(_range(row["speed"]), 2) + "×",
            ", ".join(number(value, 2) for value in row["per_round"]),
            "–" if row["cpu"] is None else ranged(_range(row["cpu"]), 2) + "×",
            "–" if row["rates"] is None else ranged(_range(row["rates"]), 1) + "×",
            f"{number(row['with_slow'], 2)}× ({row['slow']})",
        ]
        for row in result["ratios"]
    ]
    columns = (
        "ratio", "solutions", "speed ↑", "each round", "CPU, theirs / ours ↑", "rate on all of ours / on theirs",
        "speed with those at the limit",
    )  # fmt: skip
    note = (
        f"Same solutions, same cores; ours goes through a set of under {LEAST_RUNS} several times. The column before "
        "the last compares ours on the whole sample with theirs on its part of it, as in the table above. The last "
        "column is the first pass, one time only, and how many of the set met the limit."
    )
    return Table("How many times as fast", columns, rows, note)


def _agreement(result: Mapping[str, Any]) -> Table:
    rows = [
        [
            group["name"],
            group["shows"],
            f"{group['agreeing']:,} of {group['runs']:,}",
            f"{group['passed']:,}",
            ", ".join(f"{count:,} {name}" for name, count in sorted(group["integrity"].items())),
            f"{len(group['weak_problems'])} of {group['problems']}",
        ]
        for group in result["agreement"]
    ]
    columns = ("set", "shows agreement with", "agrees ↑", "passed", "integrity of the runs", "weak problems ↓")
    note = "weak: the test could not be split from the solution, which the verdict says."
    return Table("Our verdicts on others' solutions", columns, rows, note)


def _accepted(result: Mapping[str, Any]) -> Table:
    rows = [
        [
            one["system"],
            f"{len(one['accepted'])} of {one['tried']}",
            ", ".join(name.rpartition("/")[2] for name in one["accepted"]) or "–",
            ", ".join(name.rpartition("/")[2] for name in one["lost"]) or "–",
        ]
        for one in result["forging"]
    ]
    note = "Each attack claims a pass that it has not earned. EvalPlus is tried with those whose test it can express."
    return Table("Forged passes", ("system", "accepted ↓", "which", "took the harness down"), rows, note)


def _differences(differences: list[dict[str, Any]]) -> Table:
    rows = [
        [one["set"], one["task_id"], str(one["index"]), one["theirs"], one["ours"], one["message"][:120]]
        for one in differences[:SHOWN_DIFFERENCES]
    ]
    more = len(differences) - len(rows)
    note = f"{more} more are in the JSON file." if more > 0 else ""
    return Table("Judged differently", ("set", "task", "sample", "theirs", "ours", "message"), rows, note)
