"""All shards' files together become the experiment's, as if there had been no shards."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.cluster.done import (
    FILES,
    Done,
    Stage,
    begun,
    file_facts,
    manifest_stages,
    problems_digest,
    read_done,
    rows_digest,
    stage_settings,
)
from harness.cluster.shards import SHARDS, Shard, shard_number
from harness.doctor.look import merged_warnings
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import Problem
from harness.row_index import TaskIndex
from harness.store import Manifest, atomic_file, locked

GATHER = "gather"  # its stage in the experiment's manifest
SAMPLES = FILES[Stage.SAMPLE][0]
SUMMED = ("seconds", "tokens", "blocks", "contaminated_blocks")
COUNTS = ("verdicts", "finish_reasons", "legacy_passes")


@dataclass(frozen=True, slots=True)
class Gathered:
    """rows: of each file, by name. changed: whether any file is other than it was."""

    rows: dict[str, int]
    annotated: bool
    changed: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """One shard's folder, whose stage is done."""

    shard: Shard
    folder: Path
    done: Done
    problems: Sequence[Problem]


def gather(problems: Sequence[Problem], folder: Path, *, reporter: Reporter, overwrite: bool = False) -> Gathered:
    """Make the files of `folder` from those of its shards, each whole or not at all. Rows are in the order of
    `problems`, those of a problem as its shard has them: the same shards give the same bytes.

    overwrite: also replace files that were not gathered. Raises UserError, which says what to do, where shards are
    missing, not done, of other settings or other problems, or of several partitions, and where a file would be replaced
    that somebody else wrote.
    """
    with locked(folder):
        manifest = Manifest(folder)
        parts = {stage: _parts(folder, stage, problems) for stage in Stage if _counts(folder, stage)}
        if not parts:
            fix = "`sample --shard 1/4` and `annotate --shard 1/4` make them, for each of 1/4 … 4/4"
            raise UserError("there are no shards", where=str(folder / SHARDS), fix=fix)
        rows: dict[str, int] = {}
        changed = False
        for stage, own in parts.items():
            stage_rows, written = _gather_stage(stage, own, problems, folder, manifest, overwrite)
            rows |= stage_rows
            changed |= written
            reporter.say(f"{stage}: {len(own)} shards of {len(problems)} problems")
        return Gathered(rows, Stage.ANNOTATE in parts, changed)


def _gather_stage(
    stage: Stage, parts: Sequence[_Part], problems: Sequence[Problem], folder: Path, manifest: Manifest, overwrite: bool
) -> tuple[dict[str, int], bool]:
    """Rows of each file, and whether any of them had to be written."""
    if stage is Stage.ANNOTATE:
        _check_samples(folder, parts)
    for name, settings in _settings(parts, stage).items():
        manifest.begin(name, settings, overwrite=overwrite)
    rows: dict[str, int] = {}
    changed = False
    for name in FILES[stage]:
        having = [part.done.files[name].rows for part in parts if name in part.done.files]
        if having:
            rows[name] = sum(having)
            changed |= _write(folder / name, partial(_lines, name, problems, parts), manifest, overwrite)
    _note(manifest, stage, parts)
    return rows, changed


def _folders(folder: Path) -> dict[Shard, Path]:
    there = sorted((folder / SHARDS).iterdir()) if (folder / SHARDS).is_dir() else []
    return {shard: path for path in there if (shard := Shard.of_folder(path.name)) is not None}


def _counts(folder: Path, stage: Stage) -> set[int]:
    """Into how many shards the stage was divided; several numbers where somebody mixed them."""
    return {shard.count for shard, path in _folders(folder).items() if begun(path, stage)}


def _parts(folder: Path, stage: Stage, problems: Sequence[Problem]) -> list[_Part]:
    """All shards of a stage, in order."""
    counts = _counts(folder, stage)
    if len(counts) > 1:
        names = ", ".join(p.name for s, p in _folders(folder).items() if s.count in counts and begun(p, stage))
        raise UserError(
            f"{stage} was begun in shards of different partitions: {names}",
            where=str(folder / SHARDS),
            fix="remove the folders that are not wanted",
        )
    (count,) = counts
    parts: list[_Part] = []
    missing: dict[Shard, str] = {}
    for shard in (Shard(number, count) for number in range(1, count + 1)):
        path = folder / SHARDS / shard.folder_name
        done = read_done(path, stage)
        if done is not None:
            parts.append(_Part(shard, path, done, shard.of(problems)))
        else:
            missing[shard] = "not finished" if begun(path, stage) else "not begun"
    if missing:
        listing = ", ".join(f"{shard} ({state})" for shard, state in missing.items())
        first = next(iter(missing))
        raise UserError(
            f"{stage}: {len(missing)} of {count} shards are not done: {listing}",
            where=str(folder / SHARDS),
            fix=f"run `code-optimise {stage} --shard {first}` with the other options of the shards, and so for each",
        )
    _check_alike(folder, stage, parts)
    return parts


def _check_alike(folder: Path, stage: Stage, parts: Sequence[_Part]) -> None:
    """Raises UserError where shards are of other problems than asked for, or were not made alike."""
    other = [str(part.shard) for part in parts if part.done.problems != problems_digest(part.problems)]
    if other:
        raise UserError(
            f"{stage}: shards {', '.join(other)} are of other problems",
            where=str(folder / SHARDS),
            fix="give --data_path, --split, --limit and --task-ids as the shards were given them",
        )
    filled = [part for part in parts if part.problems]  # a shard without problems has run nothing
    first = filled[0] if filled else parts[0]
    unlike = [str(part.shard) for part in filled if part.done.settings != first.done.settings]
    if unlike:
        raise UserError(
            f"{stage}: shards {', '.join(unlike)} were made with other settings than {first.shard}",
            where=str(folder / SHARDS),
            fix=f"make them again with the settings of {first.shard} and --overwrite",
        )


def _settings(parts: Sequence[_Part], stage: Stage) -> dict[str, Any]:
    """What the shards' manifests record of the stage, which is the same in all that ran something."""
    return next((found for part in parts if (found := stage_settings(part.folder, stage))), {})


def _check_samples(folder: Path, parts: Sequence[_Part]) -> None:
    index = TaskIndex(folder / SAMPLES, dict)
    other = [
        str(part.shard) for part in parts if part.problems and part.done.samples != rows_digest(index, part.problems)
    ]
    if other:
        raise UserError(
            f"annotate: shards {', '.join(other)} judged other samples than are here",
            where=str(folder / SAMPLES),
            fix=f"run `code-optimise annotate --shard {other[0]} --overwrite`, and so for each of them",
        )


def _write(path: Path, lines: Callable[[], Iterator[bytes]], manifest: Manifest, overwrite: bool) -> bool:
    """Whether the file had to be written."""
    digest = hashlib.sha256()
    for line in lines():
        digest.update(line)
    wanted = digest.hexdigest()
    there = file_facts(path).sha256 if path.exists() else None
    if there == wanted:
        return False
    known = dict(manifest.stage(GATHER).get("facts", {}).get("files", {}))
    if there is not None and there not in known.get(path.name, ()) and not overwrite:
        raise UserError(
            "this file was not gathered from shards, or was changed since",
            where=str(path),
            fix="give --overwrite to have it replaced by what the shards have, or move it away",
        )
    # Before it is there, so that after a crash the file is known to be ours; the one before may still be in place.
    manifest.note(GATHER, files=known | {path.name: [*known.get(path.name, ())[-1:], wanted]})
    with atomic_file(path) as stream:
        for line in lines():
            stream.write(line)
    return True


def _lines(name: str, problems: Sequence[Problem], parts: Sequence[_Part]) -> Iterator[bytes]:
    """Each problem's rows as its shard has them, problems in the given order."""
    indexes = [TaskIndex(part.folder / name, dict) for part in parts]
    for problem in problems:
        yield from indexes[shard_number(problem.task_id, len(parts)) - 1].lines(problem.task_id)


def _note(manifest: Manifest, stage: Stage, parts: Sequence[_Part]) -> None:
    """The shards' facts: of each, and what can be added up."""
    by_stage: dict[str, dict[str, Mapping[str, Any]]] = {}
    for part in parts:
        own = Manifest(part.folder)
        for name in manifest_stages(own, stage):
            by_stage.setdefault(name, {})[str(part.shard)] = own.stage(name)["facts"]
    for name, facts in by_stage.items():
        manifest.note(name, shards=facts, **_together(list(facts.values())))


def _together(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What can be said of all shards at once: sums, warnings, and what is the same in all."""
    together: dict[str, Any] = {}
    for key in sorted({key for one in facts for key in one}):
        values = [one[key] for one in facts if one.get(key) is not None]
        if key in SUMMED:
            together[key] = sum(values) if len(values) == len(facts) else None
        elif key in COUNTS:
            together[key] = dict(sorted(sum(map(Counter, values), Counter[str]()).items()))
        elif key == "warnings":
            together[key] = merged_warnings((), [warning for value in values for warning in value])
        elif len(values) == len(facts) and all(value == values[0] for value in values):
            together[key] = values[0]
    return together
