"""What "the final files are equal" means, file by file: the one place that says so.

Equal to the byte is asked of everything that is made from settings and earlier files alone. What is left out, and why:

- times, and what follows from them: a run time measured again is another number. Of measurements it is asked that the
  same solutions of the same problems were measured, on the same calls, that the planned rounds are all there and none
  twice. Of labels, pairs and merged rows made from *new* measurements, all that does not follow from times. A stage
  that reads finished measurements (merge, report, export …) is held to the byte.
- memory, attempts, and the number of rows that a broken container or engine made us run again (INTERNAL): one verdict a
  sample is asked for, the same one.
- the order of rows in files that are added to as work is finished: a set of rows, none twice.
- in records of a run (manifest, training.json, the card): what it took (seconds, and the tokens written in them: of
  killed sessions nothing is known), warnings about the machine, which step a training run went on from, and what the
  trainers count anew in every session (tokens seen; the mean loss since it began). All settings, digests, other counts
  and the losses of the steps must be the same.

And nothing else may be there: no half-written file is left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Reading = Callable[[Path], Any]  # what of a file must be equal

TIMES = {
    "seconds", "tokens", "tokens_per_second", "warnings", "blocks", "contaminated_blocks", "resumed_from",
    "train_runtime", "train_samples_per_second", "train_steps_per_second", "eval_runtime", "eval_samples_per_second",
    "eval_steps_per_second", "step_time", "total_flos", "num_tokens", "eval_num_tokens", "train_loss",
}  # fmt: skip
MEASURED = {"cpu_ns", "wall_ns", "max_rss_bytes", "attempts"}
FIRST_ROUNDS = 5
_DURATION = re.compile(r"seconds|resumed|went on|runtime|per_second")


def differences(expected: Path, found: Path, readings: Mapping[str, Reading]) -> list[str]:
    """What is not as expected, in words. readings: by file name; other files are compared to the byte."""
    told = []
    names = [{str(path.relative_to(top)) for path in top.rglob("*") if _counts(path)} for top in (expected, found)]
    told += [f"{name}: missing" for name in sorted(names[0] - names[1])]
    told += [f"{name}: left over" for name in sorted(names[1] - names[0])]
    for name in sorted(names[0] & names[1]):
        read = readings.get(Path(name).name, Path.read_bytes)
        try:
            wanted, got = read(expected / name), read(found / name)
        except (ValueError, KeyError, AssertionError) as error:
            told.append(f"{name}: {error!r}"[:300])
            continue
        if wanted != got:
            told.append(f"{name}: {_first_difference(wanted, got)}")
    return told


def _counts(path: Path) -> bool:
    return path.is_file() and path.name != ".lock"


def _first_difference(wanted: Any, got: Any) -> str:
    """Where two values begin to differ, and how they go on there."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        key = next(key for key in {**wanted, **got} if wanted.get(key) != got.get(key))
        return f"{key}: {_first_difference(wanted.get(key), got.get(key))}"
    texts = [one if isinstance(one, bytes) else str(one) for one in (wanted, got)]
    pairs = zip(*texts, strict=False)
    same = next((place for place, (one, other) in enumerate(pairs) if one != other), min(map(len, texts)))
    there = [one[max(0, same - 30) : same + 60] for one in texts]
    return f"{there[0]!r} wanted, {there[1]!r} there"


# --- readings ---------------------------------------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert text == "" or text.endswith("\n"), "the last line is not whole"
    return [json.loads(line) for line in text.splitlines()]


def row_set(path: Path) -> list[str]:
    lines = [json.dumps(row, sort_keys=True) for row in rows(path)]
    return _once(lines)


def verdicts(path: Path) -> dict[str, Any]:
    """One row a sample, besides those that came to nothing by a fault of ours and were run again."""
    judged = [row for row in rows(path) if row["verdict"] != "INTERNAL"]
    keys = _once([f"{row['model']} {row['task_id']} {row['sample_id']}" for row in judged])
    found = {f"{r['model']} {r['task_id']} {r['sample_id']}": without(r, MEASURED) for r in judged}
    assert len(keys) == len(found)
    return found


def measurements(path: Path) -> dict[str, Any]:
    """By problem and set of solutions: what was measured on which calls, and that the first rounds are whole."""
    of_set: dict[str, list[dict[str, Any]]] = {}
    for row in rows(path):
        of_set.setdefault(f"{row['task_id']} {row['of']}", []).append(row)
    found = {}
    for name, blocks in of_set.items():
        _once([f"{name} {block['round']} {one['solution_id']}" for block in blocks for one in block["solutions"]])
        first = {block["round"] for block in blocks if block["round"] < FIRST_ROUNDS}
        calls = {one["solution_id"]: (one["calls"], one["calls_digest"]) for b in blocks for one in b["solutions"]}
        found[name] = {"calls": calls, "first rounds": sorted(first)}
    return found


def merged(path: Path) -> dict[str, Any]:
    """All of a merged row that does not follow from times; answers in the order of their samples."""
    timed = {"votes", "low_ns", "high_ns", "tier"}
    return {
        row["id"]: without(row, {"time", "decided", "answers"})
        | {"answers": sorted((without(one, timed) for one in row["answers"]), key=lambda one: one["sample_id"])}
        for row in rows(path)
    }


def merge_summary(path: Path) -> Any:
    summary = json.loads(path.read_text())
    del summary["pairs"]["qvs"], summary["pairs"]["qvs_confirmed"], summary["solutions"]["untimed"]
    return without(summary, {"comparisons", "undecided_share"})


def labelled(path: Path) -> list[Any]:
    """labels.parquet: which solutions it has, with what verdict."""
    return _columns(path, ["task_id", "solution_id", "verdict"])


def pairs(path: Path) -> list[Any]:
    """pairs.parquet: those of passed over failed, which no time decides."""
    return [row for row in _columns(path, ["task_id", "kind", "chosen_sample", "rejected_sample"]) if "pvf" in row]


def _columns(path: Path, names: list[str]) -> list[Any]:
    table = pq.read_table(path).to_pylist()
    return sorted([row[name] for name in names] for row in table)


def record(path: Path) -> Any:
    """A JSON file of facts about a run, without those that are times."""
    return without(json.loads(path.read_text()), TIMES)


def card(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not _DURATION.search(line)]


def stress_inputs(path: Path) -> dict[str, Any]:
    """By problem: for which solutions inputs were looked for. How far they grow is a matter of time limits."""
    found = {row["task_id"]: row["of"] for row in rows(path)}
    assert len(found) == len(rows(path)), "a problem is there twice"
    return found


def stress_measurements(path: Path) -> set[str]:
    """By size of a problem: which sizes are timed, and how often, is a matter of time limits. None twice."""
    found = rows(path)
    measured = [(row, one["solution_id"]) for row in found for one in row["solutions"]]
    _once([f"{row['task_id']} {row['of']} {row['round']} {solution}" for row, solution in measured])
    return {row["task_id"].partition("@")[0] for row in found}


def problems(path: Path) -> list[str]:
    return _once([row["task_id"] for row in rows(path)])


def whole_page(path: Path) -> bool:
    """A report that tells what sampling took; the stage `report` is held to its bytes."""
    return path.read_text().rstrip().endswith("</html>")


def whole_text(path: Path) -> bool:
    return path.read_text().endswith("\n")


def _once(keys: Iterable[str]) -> list[str]:
    ordered = sorted(keys)
    doubled = {key for key, following in pairwise(ordered) if key == following}
    assert not doubled, f"there twice: {sorted(doubled)[0][:150]}"
    return ordered


def without(value: Any, names: set[str]) -> Any:
    """Without the entries of those names, however deep."""
    if isinstance(value, dict):
        return {key: without(one, names) for key, one in value.items() if key not in names}
    return [without(one, names) for one in value] if isinstance(value, list) else value


# --- which file is read how -------------------------------------------------------------------------------------

ALWAYS: dict[str, Reading] = {"manifest.json": record, "samples.jsonl": row_set}
NEW_VERDICTS = ALWAYS | {"executions.jsonl": verdicts, "held_out.jsonl": verdicts}
# Where something is measured, all that is made from it is new, too.
NEW_TIMES = NEW_VERDICTS | {
    "measurements.jsonl": measurements,
    "merged.jsonl": merged,
    "dropped.jsonl": row_set,
    "summary.json": merge_summary,
    "labels.parquet": labelled,
    "pairs.parquet": pairs,
    "stress_inputs.jsonl": stress_inputs,
    "stress_measurements.jsonl": stress_measurements,
    "stress.jsonl": problems,
}
REPORTED = NEW_TIMES | {"report.html": whole_page, "report.md": whole_text}
TRAINED = {
    "manifest.json": record,
    "training.json": record,
    "trainer_state.json": record,
    "log_history.json": record,
    "README.md": card,
}
