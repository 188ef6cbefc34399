"""Run folders written in the published shapes, and as EvalPlus reads samples. Row by row: files may be large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.exchange.checks import PASSED_OUTPUT, ImportedCheck, published_check
from harness.exchange.importing import CHECKS, EXECUTIONS, LEGACY, MERGED, SAMPLES, merged_ids, sample_ids
from harness.exchange.merged import published_merged
from harness.exchange.tasks import evalplus_id
from harness.records import ExecutionRow, LegacyOutcome, LegacyTiming, MergedRow, Problem, Sample, TimingMethod
from harness.row_index import TaskIndex
from harness.store import Manifest, atomic_file, encode_row, read_rows
from harness.timing.legacy import PASSES, latest
from sandbox import Verdict

TIMEOUTS = (Verdict.TIMEOUT_CPU, Verdict.TIMEOUT_WALL)


def write_outputs(samples: Path, out: Path) -> int:
    """outputs.json: one list of `{"task_id", "completion"}`. How many."""
    ids = sample_ids(samples)
    rows = ({"task_id": ids.get(row.task_id, row.task_id), "completion": row.completion} for row in _samples(samples))
    count = 0
    with atomic_file(out) as stream:
        for row in rows:
            stream.write((",\n" if count else "[").encode() + encode_row(row).encode())
            count += 1
        stream.write(b"]\n" if count else b"[]\n")
    return count


def write_evalplus(samples: Path, problems: Mapping[str, Problem], out: Path) -> int:
    """JSONL of `{"task_id", "solution"}`: whole programs, because EvalPlus' prompts are not quite ours. How many.

    Samples of problems that are not in `problems` are left out.
    """
    return _write_lines(
        out,
        (
            {"task_id": evalplus_id(row.task_id), "solution": problems[row.task_id].prompt + row.completion}
            for row in _samples(samples)
            if row.task_id in problems
        ),
    )


def write_merged(datasets: Path, out: Path) -> int:
    """merged.json: JSONL of problems with their answers, without the evidence that ours has. How many."""
    path = datasets / MERGED
    if not path.exists():
        raise UserError("no merged data", where=str(path), fix="run `annotate` for this split first")
    ids = merged_ids(datasets)
    return _write_lines(out, (published_merged(row, ids) for row in read_rows(path, MergedRow)))


def write_checks(samples: Path, problems: Mapping[str, Problem], out: Path) -> dict[str, int]:
    """check_<pass>.json in the folder `out`, JSONL; rows by file. Samples of other problems are left out.

    Rows that were imported are written as they were. Ours need verdicts, and times of the published method: a solution
    that passed, but in this pass took too long or never settled, has failed it, as published. Raises UserError for a
    folder that was timed otherwise.
    """
    recorded = Manifest(samples).stage("annotate").get("settings", {})
    if recorded.get("method") != TimingMethod.LEGACY:
        raise UserError(
            "checks hold times of the published method, and nothing here was timed by it",
            where=str(samples),
            fix="run `annotate --timing legacy` under another --save_path",
        )
    rows = _imported_checks if "imported" in recorded else _own_checks
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        streams: dict[str, Any] = {}
        for number, row in rows(samples, problems):
            name = f"check_{number}.json"
            if name not in streams:
                streams[name] = stack.enter_context(atomic_file(out / name))
            streams[name].write(encode_row(row).encode() + b"\n")
            counts[name] = counts.get(name, 0) + 1
    return counts


def _imported_checks(folder: Path, problems: Mapping[str, Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    completions = TaskIndex(folder / SAMPLES, Sample)
    task_id, own = "", dict[int, str]()
    for check in read_rows(folder / CHECKS, ImportedCheck):
        if check.task_id not in problems:
            continue
        if check.task_id != task_id:
            task_id = check.task_id
            own = {sample.sample_id: sample.completion for sample in completions.rows(task_id)}
        yield check.pass_number, published_check(check, problems[task_id].prompt, own[check.sample_id])


def _own_checks(folder: Path, problems: Mapping[str, Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    samples, executions = TaskIndex(folder / SAMPLES, Sample), TaskIndex(folder / EXECUTIONS, ExecutionRow)
    timings = TaskIndex(folder / LEGACY, LegacyTiming)
    for task_id in samples.task_ids:
        if task_id not in problems:
            continue
        judged = {row.key: row for row in executions.rows(task_id)}
        measured = {(row.solution_id, row.pass_number): row for row in latest(timings.rows(task_id))}
        for sample in samples.rows(task_id):
            execution = judged.get(sample.key)
            if execution is None or execution.verdict == Verdict.INTERNAL:
                continue
            for number in range(PASSES):
                timing = measured.get((execution.solution_id, number))
                yield number, _own_check(sample, problems[task_id].prompt, execution, timing)


def _own_check(sample: Sample, prompt: str, execution: ExecutionRow, timing: LegacyTiming | None) -> dict[str, Any]:
    return {
        "task_id": sample.task_id,
        "completion_id": sample.sample_id,
        "prompt": prompt,
        "completion": sample.completion,
        "output": output_of(execution, timing),
        "avg_time": timing.avg_ns if timing else None,
        "std_time": timing.std_ns if timing else None,
    }


def output_of(execution: ExecutionRow, timing: LegacyTiming | None) -> str:
    """What a pass came to, in the words of HumanEval's harness. Without a timing, the verdict alone counts."""
    if execution.verdict in TIMEOUTS or (timing and timing.outcome is LegacyOutcome.TIMEOUT):
        return "timed out"
    if execution.verdict != Verdict.PASSED:
        return f"failed: {execution.message or execution.verdict}"
    if timing and timing.outcome is not LegacyOutcome.MEASURED:
        return f"failed: {timing.outcome}"
    return PASSED_OUTPUT


def _samples(folder: Path) -> Iterator[Sample]:
    path = folder / SAMPLES
    if not path.exists():
        raise UserError("there are no samples", where=str(path), fix="run `sample` or `import` for this split first")
    return read_rows(path, Sample)


def _write_lines(out: Path, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with atomic_file(out) as stream:
        for row in rows:
            stream.write(encode_row(row).encode() + b"\n")
            count += 1
    return count
