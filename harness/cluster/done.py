"""The mark of a shard's stage that came to its end: what its files are, so that anybody sees whether they still are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.annotation.legacy import LEGACY
from harness.annotation.stage import EXECUTIONS, MEASUREMENTS, SAMPLES
from harness.cluster.shards import Shard
from harness.records import SCHEMA_VERSION, Problem
from harness.row_index import TaskIndex
from harness.store import Manifest, read_json, write_atomically


class Stage(StrEnum):
    """Stages that may be done in shards."""

    SAMPLE = "sample"
    ANNOTATE = "annotate"


FILES: Mapping[Stage, tuple[str, ...]] = {
    Stage.SAMPLE: (SAMPLES,),
    Stage.ANNOTATE: (EXECUTIONS, MEASUREMENTS, LEGACY),
}


@dataclass(frozen=True, slots=True)
class FileFacts:
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Done:
    """What `<stage>.done.json` says. Digests are SHA-256.

    settings: of what the manifest records of the stage. problems: how many, and over what they are. samples: of
    annotate, over the rows that were judged. files: those that are there.
    """

    stage: Stage
    shard: str
    settings: str
    problem_count: int
    problems: str
    samples: str | None
    files: dict[str, FileFacts]
    schema_version: int = SCHEMA_VERSION


def marker(folder: Path, stage: Stage) -> Path:
    return folder / f"{stage}.done.json"


def mark_done(
    folder: Path, stage: Stage, shard: Shard, problems: Sequence[Problem], samples: Path | None = None
) -> Done:
    """Say that a shard's stage came to its end. samples: the file that was judged."""
    done = Done(
        stage=stage,
        shard=str(shard),
        settings=digest_of(stage_settings(folder, stage)),
        problem_count=len(problems),
        problems=problems_digest(problems),
        samples=None if samples is None else rows_digest(TaskIndex(samples, dict), problems),
        files={name: file_facts(folder / name) for name in FILES[stage] if (folder / name).exists()},
    )
    text = json.dumps(asdict(done), indent=2, sort_keys=True) + "\n"
    if not marker(folder, stage).exists() or marker(folder, stage).read_text() != text:
        write_atomically(marker(folder, stage), text)
    return done


def read_done(folder: Path, stage: Stage) -> Done | None:
    """The mark, if it is there and the folder's files are as it says."""
    path = marker(folder, stage)
    if not path.exists():
        return None
    done = TypeAdapter(Done).validate_python(read_json(path))
    there = {name: file_facts(folder / name) for name in FILES[stage] if (folder / name).exists()}
    return done if there == done.files and digest_of(stage_settings(folder, stage)) == done.settings else None


def begun(folder: Path, stage: Stage) -> bool:
    return marker(folder, stage).exists() or any((folder / name).exists() for name in FILES[stage])


def stage_settings(folder: Path, stage: Stage) -> dict[str, Any]:
    """The stage's settings, as the folder's manifest has them, by their name there (sampling's has the model's)."""
    manifest = Manifest(folder)
    return {name: manifest.stage(name)["settings"] for name in manifest_stages(manifest, stage)}


def manifest_stages(manifest: Manifest, stage: Stage) -> list[str]:
    return [name for name in manifest.names if name == stage or name.startswith(f"{stage}:")]


def problems_digest(problems: Iterable[Problem]) -> str:
    """Names a set of problems by what they are, whatever their order."""
    parts = sorted((one.task_id, one.prompt, one.test, one.entry_point, one.held_out or "") for one in problems)
    return digest_of(parts)


def rows_digest(index: TaskIndex[Any], problems: Iterable[Problem]) -> str:
    """Of these problems' rows, problem by problem in the order of their names."""
    digest = hashlib.sha256()
    for task_id in sorted(problem.task_id for problem in problems):
        for line in index.lines(task_id):
            digest.update(line)
    return digest.hexdigest()


def digest_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def file_facts(path: Path) -> FileFacts:
    digest, rows = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while data := stream.read(1 << 20):
            digest.update(data)
            rows += data.count(b"\n")
    return FileFacts(rows, digest.hexdigest())
