"""`import` and `export`: what others made comes in, and ours goes out in the shapes that others read."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from harness.cli.asked import Where
from harness.cli.stages import REJECTED, SAMPLES
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import Sample
from harness.store import Manifest, locked, write_rows


def import_file(where: Where, path: Path, model: str, tell: Reporter, *, overwrite: bool, dry_run: bool) -> None:
    """Make samples.jsonl of every split from someone else's file; rows of no use go to rejected.jsonl."""
    from harness.imports import RejectedRow, import_samples

    if not path.is_file():
        raise UserError("no such file", where=str(path), fix="--samples takes a JSONL or JSON file")
    by_split = where.problems()
    known = {problem.task_id: problem for problems in by_split.values() for problem in problems}
    rows: dict[str, list[Sample]] = {split: [] for split in by_split}
    rejected: list[RejectedRow] = []
    for row in import_samples(path, known, model):
        if isinstance(row, RejectedRow):
            rejected.append(row)
        else:
            rows[known[row.task_id].split].append(row)
    counts = ", ".join(f"{len(samples)} for {split}" for split, samples in rows.items())
    tell.say(f"import {path}: samples {counts}")
    if rejected:
        reasons = Counter(row.reason for row in rejected).most_common(3)
        listing = "; ".join(f"{count} × {reason}" for reason, count in reasons)
        tell.warn(f"{len(rejected)} rows gave no sample: {listing}; all in {REJECTED} beside the samples")
    if not any(rows.values()):
        raise UserError("no sample for any of the problems", where=str(path), fix="check --data_path and --split")
    if dry_run:
        return
    settings = {"imported": hashlib.sha256(path.read_bytes()).hexdigest()[:16], "model": model}
    for split, samples in rows.items():
        folder = where.paths.samples(split)
        with locked(folder):
            settings_here = settings | {"problems": len(by_split[split])}
            Manifest(folder).begin("sample", settings_here, overwrite=overwrite)
            write_rows(folder / SAMPLES, samples)
            write_rows(folder / REJECTED, rejected)
