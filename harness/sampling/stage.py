"""The `sample` stage: problems in, rows of samples.jsonl out; resumable row by row."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.progress import Reporter
from harness.prompts import PROMPT_FORMAT
from harness.records import Problem, Sample
from harness.sampling.origins import origin
from harness.sampling.settings import Row, SamplingSettings, plan
from harness.sampling.written import Backend, Begun, Origin, Written
from harness.store import AppendFile, Manifest, locked, read_rows, write_rows


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
    source: Origin | None = None,
) -> None:
    """Append the samples that `folder/file_name` lacks, each once it is written.

    Rows are known by (model_name, task_id, sample_id); several models may share a file. model_path: as
    harness.sampling.origins takes it. model_name: default the last part of it, or of a served model's name.
    overwrite: this model's rows are taken out first. A problem whose context leaves no room for max_new_tokens is left
    out, with a warning, and named in the manifest (`skipped` in stage `sample:<model_name>`).
    Raises UserError if rows of this model are there that were made with other settings or other weights.
    """
    with locked(folder):
        source = source or origin(model_path, settings, reporter)
        name = model_name or source.name
        _sample_missing(problems, settings, folder / file_name, source, model_path, name, reporter, overwrite)


def _sample_missing(
    problems: Sequence[Problem],
    settings: SamplingSettings,
    path: Path,
    source: Origin,
    model_path: str,
    name: str,
    reporter: Reporter,
    overwrite: bool,
) -> None:
    stage = f"sample:{name}"
    manifest = Manifest(path.parent)
    manifest.begin(stage, _recorded(settings, source), overwrite=overwrite)
    if overwrite:
        write_rows(path, [row for row in read_rows(path, Sample) if row.model != name])
        manifest.note(stage, seconds=0.0, tokens=0)
    missing = _missing(problems, settings, path, name)
    if not missing:
        AppendFile(path).close()  # nothing comes after a half-written row that a power cut left
        manifest.note(stage, finish_reasons=_finish_reasons(path, name))
        reporter.say(f"Samples of {name}: all {len(problems) * settings.n_seq} are there")
        return
    recorded = {} if overwrite else dict(manifest.stage(stage).get("facts", {}))
    sampler = source.open(recorded)
    starts = {problem.task_id: sampler.start(problem.prompt) for problem in problems if problem.task_id in missing}
    skipped = _too_long(starts, settings, sampler)
    if skipped:
        reporter.warn(f"no room for {settings.max_new_tokens} tokens in {len(skipped)} problems: {', '.join(skipped)}")
    missing = {task_id: ids for task_id, ids in missing.items() if task_id not in skipped}
    # Now, too: a killed session comes to no end, and the next may find nothing left to do.
    manifest.note(stage, model_path=model_path, skipped=skipped, **sampler.facts(recorded))
    done = _Tally(seconds=float(recorded.get("seconds", 0.0)), tokens=int(recorded.get("tokens") or 0))
    try:
        _draw(sampler, starts, missing, settings, path, name, reporter, done)
    finally:
        manifest.note(
            stage,
            seconds=round(done.seconds, 3),
            tokens=done.tokens if done.counted else None,
            tokens_per_second=round(done.tokens / max(done.seconds, 1e-9), 1) if done.counted else None,
            finish_reasons=_finish_reasons(path, name),
            **sampler.facts(recorded),
        )


def _finish_reasons(path: Path, model: str) -> dict[str, int]:
    kinds = Counter(str(row.finish_reason) for row in read_rows(path, Sample) if row.model == model)
    return dict(sorted(kinds.items()))


class _Tally:
    """What has been spent on drawing, sessions before this one included. counted: whether tokens can be counted."""

    def __init__(self, seconds: float, tokens: int) -> None:
        self.seconds, self.tokens, self.counted = seconds, tokens, True

    def add(self, tokens: int | None) -> None:
        self.tokens += tokens or 0
        self.counted = self.counted and tokens is not None


def _recorded(settings: SamplingSettings, source: Origin) -> dict[str, Any]:
    """The settings that decide what a sample is. How the work is cut up (n_iter, batch_size) is not among them."""
    values = asdict(settings)
    del values["n_iter"], values["batch_size"], values["dtype"], values["server"]
    return {**values, **source.recorded(), "prompt_format": PROMPT_FORMAT}


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


def _too_long(starts: dict[str, Begun], settings: SamplingSettings, sampler: Backend[Any]) -> list[str]:
    limit = sampler.context_limit
    if limit is None:
        return []
    return [
        task_id for task_id, start in starts.items() if (start.prompt_tokens or 0) + settings.max_new_tokens > limit
    ]


def _draw(
    sampler: Backend[Any],
    starts: dict[str, Begun],
    missing: dict[str, Sequence[int]],
    settings: SamplingSettings,
    path: Path,
    model: str,
    reporter: Reporter,
    done: _Tally,
) -> None:
    """Write all missing rows, and count in `done` what that took."""
    total = len(missing) * settings.n_seq
    left = sum(len(ids) for ids in missing.values())
    lengths = {task_id: start.size for task_id, start in starts.items()}
    rows = plan(lengths, missing, settings)
    begun, before, tokens = time.monotonic(), done.seconds, 0
    with (
        AppendFile(path) as file,
        reporter.task(f"Sampling {model}", total, done=total - left, unit="samples") as task,
        closing(sampler.write(rows, starts, settings)) as stream,
    ):
        for written in stream:
            file.append(_sample(written, starts[written.row.task_id], settings, model))
            done.add(written.tokens)
            tokens += written.tokens or 0
            done.seconds = before + time.monotonic() - begun
            rate = tokens / max(time.monotonic() - begun, 1e-9)
            task.advance(note=f"{rate:.0f} tokens/s" if done.counted else "")


def _sample(written: Written, start: Begun, settings: SamplingSettings, model: str) -> Sample:
    row: Row = written.row
    return Sample(
        task_id=row.task_id,
        sample_id=row.sample_id,
        model=model,
        completion=start.lead + written.text,
        finish_reason=written.finish_reason,
        seed=settings.seed,
        temperature=settings.effective_temperature,
        prompt_tokens=start.prompt_tokens,
        completion_tokens=written.tokens,
    )
