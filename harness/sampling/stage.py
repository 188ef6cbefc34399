"""The `sample` stage: problems in, rows of samples.jsonl out; resumable row by row."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError
from harness.fingerprint import model_fingerprint
from harness.progress import Reporter
from harness.prompts import PROMPT_FORMAT
from harness.records import Problem, Sample
from harness.sampling.models import resolve_model
from harness.sampling.settings import Row, SamplingSettings, plan
from harness.store import AppendFile, Manifest, locked, read_rows, write_rows

if TYPE_CHECKING:
    from harness.sampling.backend import Start, TransformersSampler, Written


def sample(
    problems: Sequence[Problem],
    settings: SamplingSettings,
    folder: Path,
    *,
    model_path: str,
    model_name: str | None = None,
    reporter: Reporter,
    overwrite: bool = False,
    file_name: str = "samples.jsonl",
) -> None:
    """Append the samples that `folder/file_name` lacks, each once it is written.

    Rows are known by (model_name, task_id, sample_id); several models may share a file. model_name: default the last
    part of model_path. overwrite: this model's rows are taken out first. A problem whose context leaves no room for
    max_new_tokens is left out, with a warning, and named in the manifest (`skipped` in stage `sample:<model_name>`).
    Raises UserError if rows of this model are there that were made with other settings or other weights.
    """
    with locked(folder):
        _sample_missing(
            problems, settings, folder / file_name, model_path, model_name or Path(model_path).name, reporter, overwrite
        )


def _sample_missing(
    problems: Sequence[Problem],
    settings: SamplingSettings,
    path: Path,
    model_path: str,
    name: str,
    reporter: Reporter,
    overwrite: bool,
) -> None:
    stage = f"sample:{name}"
    model = resolve_model(model_path, reporter)
    manifest = Manifest(path.parent)
    manifest.begin(stage, _recorded(settings, model_fingerprint(model)), overwrite=overwrite)
    if overwrite:
        write_rows(path, [row for row in read_rows(path, Sample) if row.model != name])
        manifest.note(stage, seconds=0.0, tokens=0)
    missing = _missing(problems, settings, path, name)
    if not missing:
        reporter.say(f"Samples of {name}: all {len(problems) * settings.n_seq} are there")
        return
    from harness.sampling.backend import TransformersSampler  # noqa: PLC0415  (torch takes seconds to import)

    sampler = TransformersSampler(model, dtype=settings.dtype)
    starts = _starts(problems, missing, sampler)
    skipped = _too_long(starts, settings, sampler)
    if skipped:
        reporter.warn(f"no room for {settings.max_new_tokens} tokens in {len(skipped)} problems: {', '.join(skipped)}")
    missing = {task_id: ids for task_id, ids in missing.items() if task_id not in skipped}
    recorded = manifest.stage(stage).get("facts", {})
    done = _Tally(seconds=float(recorded.get("seconds", 0.0)), tokens=int(recorded.get("tokens", 0)))
    try:
        _draw(sampler, starts, missing, settings, path, name, reporter, done)
    finally:
        kinds = Counter(str(row.finish_reason) for row in read_rows(path, Sample) if row.model == name)
        manifest.note(
            stage,
            model_path=model_path,
            seconds=round(done.seconds, 3),
            tokens=done.tokens,
            tokens_per_second=round(done.tokens / max(done.seconds, 1e-9), 1),
            device=str(sampler.device),
            dtype=str(sampler.dtype).removeprefix("torch."),
            finish_reasons=dict(sorted(kinds.items())),
            skipped=skipped,
        )


class _Tally:
    """What has been spent on drawing, sessions before this one included."""

    def __init__(self, seconds: float, tokens: int) -> None:
        self.seconds, self.tokens = seconds, tokens


def _recorded(settings: SamplingSettings, fingerprint: str) -> dict[str, Any]:
    """The settings that decide what a sample is. How the work is cut up (n_iter, batch_size) is not among them."""
    values = asdict(settings)
    del values["n_iter"], values["batch_size"]
    return {**values, "model_fingerprint": fingerprint, "prompt_format": PROMPT_FORMAT}


def _missing(
    problems: Sequence[Problem], settings: SamplingSettings, path: Path, model: str
) -> dict[str, Sequence[int]]:
    """The sample ids to draw, by task_id, in order; problems that have all are left out."""
    there = {(row.task_id, row.sample_id) for row in read_rows(path, Sample) if row.model == model}
    missing: dict[str, Sequence[int]] = {}
    for problem in problems:
        if problem.task_id in missing:
            raise DataError(f"task_id {problem.task_id!r} is there twice", where=problem.source)
        if ids := [number for number in range(settings.n_seq) if (problem.task_id, number) not in there]:
            missing[problem.task_id] = ids
    return missing


def _starts(
    problems: Sequence[Problem], missing: dict[str, Sequence[int]], sampler: TransformersSampler
) -> dict[str, Start]:
    from harness.sampling.backend import Start  # noqa: PLC0415

    return {
        problem.task_id: Start.of(problem.prompt, sampler.tokenizer)
        for problem in problems
        if problem.task_id in missing
    }


def _too_long(starts: dict[str, Start], settings: SamplingSettings, sampler: TransformersSampler) -> list[str]:
    limit = sampler.context_limit
    if limit is None:
        return []
    return [task_id for task_id, start in starts.items() if len(start.ids) + settings.max_new_tokens > limit]


def _draw(
    sampler: TransformersSampler,
    starts: dict[str, Start],
    missing: dict[str, Sequence[int]],
    settings: SamplingSettings,
    path: Path,
    model: str,
    reporter: Reporter,
    done: _Tally,
) -> None:
    """Write all missing rows, batch by batch, and count in `done` what that took."""
    total = len(missing) * settings.n_seq
    left = sum(len(ids) for ids in missing.values())
    lengths = {task_id: len(start.ids) for task_id, start in starts.items()}
    batch_size = settings.batch_size or sampler.batch_size
    begun, before, tokens = time.monotonic(), done.seconds, 0
    with (
        AppendFile(path) as file,
        reporter.task(f"Sampling {model}", total, done=total - left, unit="samples") as task,
    ):
        for rows in plan(lengths, missing, settings, batch_size):
            for written in sampler.write(rows, starts, settings):
                file.append(_sample(written, starts[written.row.task_id], settings, model))
                done.tokens += written.tokens
                tokens += written.tokens
                done.seconds = before + time.monotonic() - begun
                task.advance(note=f"{tokens / max(time.monotonic() - begun, 1e-9):.0f} tokens/s")


def _sample(written: Written, start: Start, settings: SamplingSettings, model: str) -> Sample:
    row: Row = written.row
    return Sample(
        task_id=row.task_id,
        sample_id=row.sample_id,
        model=model,
        completion=start.lead + written.text,
        finish_reason=written.finish_reason,
        seed=settings.seed,
        temperature=settings.effective_temperature,
        prompt_tokens=len(start.ids),
        completion_tokens=written.tokens,
    )
