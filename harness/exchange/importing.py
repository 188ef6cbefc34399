"""Others' files into run folders: read, sorted by split, written whole; what is of no use goes to rejected.jsonl."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from harness.errors import UserError
from harness.exchange.checks import CheckImporter, ImportedCheck, execution_row, legacy_rows
from harness.exchange.merged import MergedImporter
from harness.exchange.rows import RejectedRow
from harness.exchange.samples import SampleImporter
from harness.exchange.shapes import Shape
from harness.exchange.tasks import ForeignId, published_id
from harness.progress import Reporter
from harness.records import ExecutionRow, LegacyTiming, MergedRow, Problem, Sample, TimingMethod
from harness.store import Manifest, atomic_file, locked, row_line, write_rows
from sandbox import Verdict

SAMPLES, EXECUTIONS, LEGACY, CHECKS = "samples.jsonl", "executions.jsonl", "legacy.jsonl", "imported.jsonl"
MERGED, REJECTED = "merged.jsonl", "rejected.jsonl"
NOT_OURS = "verdicts and times were imported: nothing was run by the sandbox"
_PASS = re.compile(r"check_([0-9]{1,3})\.jsonl?")
Row = TypeVar("Row", ImportedCheck, MergedRow)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import. problems: by split. folder: of a split, that of samples or of data sets as the shape wants.

    model: who wrote the samples. overwrite: what is in the folders goes, whoever made it.
    """

    files: Sequence[Path]
    shape: Shape
    problems: Mapping[str, Sequence[Problem]]
    folder: Callable[[str], Path]
    model: str
    overwrite: bool = False
    dry_run: bool = False


def import_files(request: ImportRequest, tell: Reporter) -> dict[str, int]:
    """Import; rows by split. Raises UserError for absent files, folders made otherwise, and where no row is of use."""
    for path in request.files:
        if not path.is_file():
            raise UserError("no such file", where=str(path), fix="give a JSONL or JSON file")
    read = {Shape.OUTPUTS: _samples, Shape.CHECKS: _checks, Shape.MERGED: _merged}[request.shape]
    return read(request, tell)


def _samples(request: ImportRequest, tell: Reporter) -> dict[str, int]:
    """Reads the files twice, to know first whether they are of use: there may be more in them than memory holds."""
    survey = _Survey(_split_of(request))
    for row in _read_samples(request, SampleImporter(_known(request), request.model)):
        survey.add(row)
    _tell(request, survey.counts, survey.reasons, tell)
    wanted = [split for split, count in survey.counts.items() if count and not request.dry_run]
    with ExitStack() as stack:
        for split in wanted:
            stack.enter_context(locked(request.folder(split)))
            _begin_samples(request.folder(split), _settings(request, split), overwrite=request.overwrite)
        importer = SampleImporter(_known(request), request.model)
        _write_samples(request, wanted, _read_samples(request, importer))
        for split in wanted:
            ids = {task_id: importer.ids[task_id] for task_id in survey.task_ids[split]}
            unlike = {ours: theirs for ours, theirs in ids.items() if ours != theirs}
            Manifest(request.folder(split)).note("sample", ids=unlike)
    return survey.counts


def _read_samples(request: ImportRequest, importer: SampleImporter) -> Iterator[Sample | RejectedRow]:
    return (row for path in request.files for row in importer.read(path))


def _write_samples(request: ImportRequest, splits: Sequence[str], rows: Iterator[Sample | RejectedRow]) -> None:
    """Each split's samples, and for each of them all rejected rows."""
    split_of = _split_of(request)
    with ExitStack() as stack:

        def stream(split: str, name: str) -> IO[bytes]:
            return stack.enter_context(atomic_file(request.folder(split) / name))

        samples = {split: stream(split, SAMPLES) for split in splits}
        rejected = [stream(split, REJECTED) for split in splits]
        for row in rows:
            for one in rejected if isinstance(row, RejectedRow) else [samples[split_of[row.task_id]]]:
                one.write(row_line(row))


class _Survey:
    """What rows there are, without keeping them."""

    def __init__(self, split_of: Mapping[str, str]) -> None:
        self._split_of = split_of
        self.counts = dict.fromkeys(split_of.values(), 0)
        self.task_ids: dict[str, set[str]] = {split: set() for split in self.counts}
        self.reasons: Counter[str] = Counter()  # of rejected rows

    def add(self, row: Sample | RejectedRow) -> None:
        if isinstance(row, RejectedRow):
            self.reasons[row.reason] += 1
        else:
            split = self._split_of[row.task_id]
            self.counts[split] += 1
            self.task_ids[split].add(row.task_id)


def _checks(request: ImportRequest, tell: Reporter) -> dict[str, int]:
    known = _known(request)
    importer = CheckImporter(known)
    passes = pass_numbers(request.files)
    read = (row for path, number in zip(request.files, passes, strict=True) for row in importer.read(path, number))
    rows, rejected = _sorted(request, read)
    _tell_of(request, rows, rejected, tell)
    for split, checks in _to_write(request, rows):
        samples = [sample for sample in importer.samples(request.model) if known[sample.task_id].split == split]
        executions, timings = judged(samples, checks, known)
        folder, settings = request.folder(split), _settings(request, split)
        with locked(folder):
            _begin_samples(folder, settings, overwrite=request.overwrite)
            manifest = Manifest(folder)
            manifest.begin("annotate", {"method": TimingMethod.LEGACY, "imported": settings["imported"]})
            write_rows(folder / SAMPLES, samples)
            write_rows(folder / CHECKS, checks)
            write_rows(folder / EXECUTIONS, executions)
            write_rows(folder / LEGACY, timings)
            write_rows(folder / REJECTED, rejected)
            verdicts = Counter(row.verdict for row in executions)
            manifest.note("annotate", verdicts=dict(sorted(verdicts.items())), warnings=[NOT_OURS])
        if disagree := verdicts[Verdict.INTERNAL]:
            tell.warn(f"{split}: {disagree} samples passed in some passes only; no label is made of them")
    return {split: len(checks) for split, checks in rows.items()}


def judged(
    samples: Sequence[Sample], checks: Sequence[ImportedCheck], problems: Mapping[str, Problem]
) -> tuple[list[ExecutionRow], list[LegacyTiming]]:
    """A verdict for each sample, and the passes of each distinct passing solution.

    Of samples with the same program, whose published times differ by their comments, the first one's passes count: it
    is the one that merging takes for all of them.
    """
    by_sample: dict[tuple[str, int], list[ImportedCheck]] = {}
    for check in checks:
        by_sample.setdefault((check.task_id, check.sample_id), []).append(check)
    executions: list[ExecutionRow] = []
    timings: list[LegacyTiming] = []
    timed: set[tuple[str, str]] = set()
    for sample in samples:
        executions.append(execution_row(sample, problems[sample.task_id], by_sample[sample.task_id, sample.sample_id]))
    for row in sorted(executions, key=lambda row: row.sample_id):
        solution = (row.task_id, row.solution_id)
        if row.verdict == Verdict.PASSED and solution not in timed:
            timed.add(solution)
            timings.extend(legacy_rows(row, by_sample[row.task_id, row.sample_id]))
    return executions, timings


def _merged(request: ImportRequest, tell: Reporter) -> dict[str, int]:
    importer = MergedImporter(_known(request))
    rows, rejected = _sorted(request, (row for path in request.files for row in importer.read(path)))
    _tell_of(request, rows, rejected, tell)
    for split, merged in _to_write(request, rows):
        folder, settings = request.folder(split), _settings(request, split)
        ids = {row.id: importer.ids[row.id] for row in merged}
        with locked(folder):
            _begin_merged(folder, settings, overwrite=request.overwrite)
            write_rows(folder / MERGED, merged)
            write_rows(folder / REJECTED, rejected)
            unlike = {ours: theirs for ours, theirs in ids.items() if theirs != published_id(ours)}
            answers = sum(len(row.answers) for row in merged)
            Manifest(folder).note("import", ids=unlike, answers=answers, warnings=[NOT_OURS])
    return {split: len(merged) for split, merged in rows.items()}


def pass_numbers(files: Sequence[Path]) -> list[int]:
    """Which pass each check file is: the number in its name, or, unless all have one of their own, its place."""
    named = [int(match[1]) for path in files if (match := _PASS.fullmatch(path.name))]
    return named if len(set(named)) == len(files) else list(range(len(files)))


def sample_ids(samples: Path) -> dict[str, ForeignId]:
    """Task ids of imported samples, where the files had others than ours."""
    return dict(Manifest(samples).stage("sample").get("facts", {}).get("ids", {}))


def merged_ids(datasets: Path) -> dict[str, ForeignId]:
    """The ids of an imported data set, where the files had others than `published_id`."""
    ids = Manifest(datasets).stage("import").get("facts", {}).get("ids", {})
    return dict(ids) if is_imported(datasets) else {}


def is_imported(datasets: Path) -> bool:
    """Whether a folder's merged.jsonl was imported, and not made by a merge since: that leaves a summary."""
    return bool(Manifest(datasets).stage("import")) and not (datasets / "summary.json").exists()


def _known(request: ImportRequest) -> dict[str, Problem]:
    return {problem.task_id: problem for problems in request.problems.values() for problem in problems}


def _split_of(request: ImportRequest) -> dict[str, str]:
    """By task_id."""
    return {problem.task_id: split for split, problems in request.problems.items() for problem in problems}


def _sorted(
    request: ImportRequest, read: Iterator[Row | RejectedRow]
) -> tuple[dict[str, list[Row]], list[RejectedRow]]:
    split_of = _split_of(request)
    rows: dict[str, list[Row]] = {split: [] for split in request.problems}
    rejected: list[RejectedRow] = []
    for row in read:
        if isinstance(row, RejectedRow):
            rejected.append(row)
        else:
            rows[split_of[row.id if isinstance(row, MergedRow) else row.task_id]].append(row)
    return rows, rejected


def _tell_of(
    request: ImportRequest, rows: Mapping[str, Sequence[object]], rejected: Sequence[RejectedRow], tell: Reporter
) -> None:
    counts = {split: len(own) for split, own in rows.items()}
    _tell(request, counts, Counter(row.reason for row in rejected), tell)


def _tell(request: ImportRequest, counts: Mapping[str, int], rejected: Counter[str], tell: Reporter) -> None:
    """counts: rows of use by split. rejected: reasons. Raises UserError where nothing is of use."""
    what = {Shape.OUTPUTS: "sample", Shape.CHECKS: "check", Shape.MERGED: "problem"}[request.shape]
    listed = ", ".join(f"{count} for {split}" for split, count in counts.items())
    names = ", ".join(path.name for path in request.files)
    tell.say(f"import {names}: {what}s {listed}")
    if rejected:
        listing = "; ".join(f"{count} × {reason}" for reason, count in rejected.most_common(3))
        tell.warn(f"{rejected.total()} rows gave no {what}: {listing}; all in {REJECTED}")
    if not any(counts.values()):
        fix = "check --data_path, --split and --as"
        raise UserError("nothing for any of the problems", where=names, fix=fix)


def _to_write(request: ImportRequest, rows: Mapping[str, list[Row]]) -> list[tuple[str, list[Row]]]:
    return [] if request.dry_run else [(split, own) for split, own in rows.items() if own]


def _settings(request: ImportRequest, split: str) -> dict[str, Any]:
    digest = hashlib.sha256()
    for path in request.files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return {
        "imported": digest.hexdigest()[:16],
        "shape": request.shape,
        "model": request.model,
        "problems": len(request.problems[split]),
    }


def _begin_samples(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Make the folder this import's, or refuse: what was judged and timed there would be that of other samples."""
    if overwrite:
        _clear(folder)
    manifest = Manifest(folder)
    if (folder / SAMPLES).exists() and not manifest.stage("sample"):
        raise UserError(
            "there are samples that were drawn, not imported",
            where=str(folder),
            fix="give another --save_path, or --overwrite",
        )
    manifest.begin("sample", settings)


def _begin_merged(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    if overwrite:
        _clear(folder)
    if (folder / MERGED).exists() and not is_imported(folder):
        raise UserError(
            "there is a data set that was merged here",
            where=str(folder),
            fix="give another --save_path, or --overwrite",
        )
    Manifest(folder).begin("import", settings)


def _clear(folder: Path) -> None:
    """Take away what stages left here: rows, tables and the manifest."""
    for path in folder.iterdir():
        if path.suffix in (".jsonl", ".json", ".parquet") and path.is_file():
            path.unlink()
