"""The published `runs/check_<pass>.json`: one row a sample and pass, with outcome and time. Pure but for reading.

A row is `{"task_id", "completion_id", "prompt", "completion", "output", "avg_time", "std_time"}`, times in ns. `output`
is "passed" or says why not; a sample passes here only if it did in every pass. All of it is somebody else's word:
nothing was run by our sandbox, so rows made from it have the integrity "none" and the reason "imported".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.exchange.columns import Number, number, only_columns, text
from harness.exchange.rows import ForeignRow, RejectedRow, RejectError, foreign_rows
from harness.exchange.tasks import ForeignId, TaskNames, plain
from harness.records import ExecutionRow, FinishReason, LegacyOutcome, LegacyTiming, Problem, Sample
from harness.timing.solution_id import parse_bounded, solution_id
from sandbox import Integrity, Termination, Verdict

COLUMNS = ("task_id", "completion_id", "prompt", "completion", "output", "avg_time", "std_time")
PASSED_OUTPUT = "passed"
FAILED = "FAILED"  # the verdict of imported samples that did not pass: why is not known for certain
IMPORTED = "imported"  # the reason of their integrity
MAX_TIME_NS = 3.6e12  # an hour; ratios of times within it and above 1 ns can be computed


@dataclass(frozen=True, slots=True)
class ImportedCheck:
    """One row of a check file, as imported.jsonl keeps it; the completion is the sample's. Written back as it was.

    id, prompt: as the file has them, null where they are just our `task_id` and prompt. Times in ns or null.
    """

    task_id: str
    sample_id: int
    pass_number: int
    id: ForeignId | None
    prompt: str | None
    output: str
    avg_time: Number | None
    std_time: Number | None


class CheckImporter:
    """Reads the check files of one model. Across files it knows each sample's completion, which must stay the same."""

    def __init__(self, problems: Mapping[str, Problem]) -> None:
        """problems: by `task_id`."""
        self._tasks = TaskNames(problems)
        self._programs: dict[tuple[str, int], tuple[str, str]] = {}  # prompt (theirs) and completion
        self._seen: set[tuple[str, int, int]] = set()

    def read(self, path: Path, pass_number: int) -> Iterator[ImportedCheck | RejectedRow]:
        """A file's rows in its order. Raises DataError if it can't be opened; what is wrong within is a RejectedRow."""
        for row in foreign_rows(path):
            if isinstance(row, RejectedRow):
                yield row
                continue
            try:
                yield self._check(row, pass_number)
            except RejectError as error:
                yield row.rejected(str(error))

    def samples(self, model: str) -> Iterator[Sample]:
        """The samples read so far, in the order of their first rows."""
        for (task_id, sample_id), (_, completion) in self._programs.items():
            yield Sample(task_id, sample_id, model, completion, FinishReason.IMPORTED)

    def _check(self, row: ForeignRow, pass_number: int) -> ImportedCheck:
        value = row.value
        only_columns(value, COLUMNS)
        problem = self._tasks.problem(value["task_id"], "task_id")
        sample_id = value["completion_id"]
        if isinstance(sample_id, bool) or not isinstance(sample_id, int) or not 0 <= sample_id < 2**63:
            raise RejectError("column 'completion_id': not a whole number from 0")
        prompt, completion, output = (text(value, column) for column in ("prompt", "completion", "output"))
        least = 1 if output == PASSED_OUTPUT else 0
        avg_time, std_time = _time(value, "avg_time", least), _time(value, "std_time", 0)
        key = (problem.task_id, sample_id)
        if (*key, pass_number) in self._seen:
            raise RejectError(f"sample {sample_id} of task {problem.task_id!r} was there before")
        self._same_program(key, prompt, completion, problem)
        self._seen.add((*key, pass_number))
        return ImportedCheck(
            task_id=problem.task_id,
            sample_id=sample_id,
            pass_number=pass_number,
            id=None if value["task_id"] == problem.task_id else value["task_id"],
            prompt=None if prompt == problem.prompt else prompt,
            output=output,
            avg_time=avg_time,
            std_time=std_time,
        )

    def _same_program(self, key: tuple[str, int], prompt: str, completion: str, problem: Problem) -> None:
        """Refuse a row whose outcome may be that of another program than ours, or of another pass's."""
        known = self._programs.get(key)
        if known == (prompt, completion):
            return
        if known is not None and known[1] != completion:
            raise RejectError("column 'completion': not the text that an earlier pass has")
        if prompt != problem.prompt and (
            plain(prompt) != plain(problem.prompt)
            or not same_program(prompt + completion, problem.prompt + completion, problem.entry_point)
        ):
            raise RejectError(f"column 'prompt': with the prompt of task {problem.task_id!r} it is another program")
        self._programs.setdefault(key, (prompt, completion))


def same_program(one: str, other: str, entry_point: str) -> bool:
    """Whether two texts differ in layout only, or are neither of them Python."""
    if parse_bounded(one) is None or parse_bounded(other) is None:
        return parse_bounded(one) is parse_bounded(other)
    return solution_id(one, entry_point) == solution_id(other, entry_point)


def execution_row(sample: Sample, problem: Problem, checks: Sequence[ImportedCheck]) -> ExecutionRow:
    """The verdict of a sample over all its passes.

    PASSED if it passed in all of them, FAILED if in none. Passes that disagree leave it INTERNAL: not judged, so that
    merging takes it neither for an example nor for a counter-example.
    """
    passes = sum(check.output == PASSED_OUTPUT for check in checks)
    verdict = str(Verdict.PASSED) if passes == len(checks) else FAILED if passes == 0 else str(Verdict.INTERNAL)
    outputs = list(dict.fromkeys(check.output for check in checks))
    message = outputs[0] if len(outputs) == 1 else f"passed in {passes} of {len(checks)} passes: {'; '.join(outputs)}"
    return ExecutionRow(
        task_id=sample.task_id,
        sample_id=sample.sample_id,
        model=sample.model,
        solution_id=solution_id(problem.prompt + sample.completion, problem.entry_point),
        verdict=verdict,
        integrity=Integrity.NONE,
        weak_reason=IMPORTED,
        termination=Termination.UNKNOWN,
        message=message,
        cpu_ns=0,
        wall_ns=0,
        max_rss_bytes=0,
        stdout_bytes=0,
        attempts=0,
    )


def legacy_rows(execution: ExecutionRow, checks: Iterable[ImportedCheck]) -> Iterator[LegacyTiming]:
    """A passing sample's passes, as if our own legacy timing had measured them; what they cost is not known (0)."""
    for check in checks:
        measured = check.avg_time is not None
        yield LegacyTiming(
            task_id=check.task_id,
            solution_id=execution.solution_id,
            pass_number=check.pass_number,
            outcome=LegacyOutcome.MEASURED if measured else LegacyOutcome.NO_MEASUREMENT,
            avg_ns=None if check.avg_time is None else float(check.avg_time),
            std_ns=float(check.std_time) if measured and check.std_time is not None else None,
            blocks=None,
            cpu_ns=0,
        )


def published_check(check: ImportedCheck, prompt: str, completion: str) -> dict[str, Any]:
    """The row as it was. prompt: our problem's."""
    return {
        "task_id": check.task_id if check.id is None else check.id,
        "completion_id": check.sample_id,
        "prompt": prompt if check.prompt is None else check.prompt,
        "completion": completion,
        "output": check.output,
        "avg_time": check.avg_time,
        "std_time": check.std_time,
    }


def _time(value: Mapping[str, Any], column: str, least: int) -> Number | None:
    """A time in ns as it stands, or null."""
    return None if value[column] is None else number(value, column, least, MAX_TIME_NS)
