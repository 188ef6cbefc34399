"""Samples that others wrote: three shapes of file become our `Sample` rows, and what can't is named row by row.

- `{"task_id", "completion"}` per line, as HumanEval, MBPP and EvalPlus tools write them; `sample_id` or `completion_id`
  optional. EvalPlus' `solution` (the whole program) is taken too if it begins with the problem's prompt.
- the published `merged.jsonl`: `{"id", "question", "answers": [{"text", "votes"}]}`; all answers become samples. The
  published times are not read: the solutions are judged and timed anew.
- the published `outputs.json`: one JSON list of `{"task_id", "completion"}`.

Files are read as bytes and row by row, so one bad row (not UTF-8, not JSON, unknown task) costs itself only. Rows are
counted from 1: lines of a file (blank ones count), elements of a list.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from harness.errors import DataError
from harness.records import FinishReason, Problem, Sample

MAX_ROW_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
EXCERPT_CHARS = 120
_STRUCTURE = re.compile(rb'["\\{}\[\],]')


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row, or one answer of a row, that gave no sample. `excerpt` is its beginning, with bad bytes as escapes."""

    row: int
    reason: str
    excerpt: str


class _RejectError(Exception):
    """Why the row in hand is of no use."""


@dataclass(slots=True)
class _Importer:
    """What must be known across rows: which task a name means, and which sample ids are taken."""

    problems: Mapping[str, Problem]
    model: str
    names: dict[str, str] = field(default_factory=dict)
    taken: dict[str, set[int]] = field(default_factory=dict)
    following: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Others write "Mbpp/7" or 7 for our "MBPP/7". A short name that could mean two tasks means none.
        for short in (str.casefold, lambda task_id: task_id.rpartition("/")[2].casefold()):
            meant: dict[str, set[str]] = {}
            for task_id in self.problems:
                meant.setdefault(short(task_id), set()).add(task_id)
            for name, tasks in meant.items():
                if len(tasks) == 1:
                    self.names.setdefault(name, *tasks)

    def problem(self, value: object, column: str) -> Problem:
        if value is None:
            raise _RejectError(f"no column {column!r}")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise _RejectError(f"column {column!r}: neither text nor a whole number")
        name = str(value)
        problem = self.problems.get(name) or self.problems.get(self.names.get(name.casefold(), ""))
        if problem is None:
            raise _RejectError(f"unknown task {name[:80]!r}")
        return problem

    def sample(self, problem: Problem, completion: str, sample_id: int | None) -> Sample:
        taken = self.taken.setdefault(problem.task_id, set())
        if sample_id is None:
            sample_id = self.following.get(problem.task_id, 0)
            while sample_id in taken:
                sample_id += 1
            self.following[problem.task_id] = sample_id + 1
        elif sample_id in taken:
            raise _RejectError(f"sample {sample_id} of task {problem.task_id!r} was there before")
        taken.add(sample_id)
        return Sample(problem.task_id, sample_id, self.model, completion, FinishReason.IMPORTED)

    def read(self, row: int, raw: bytes) -> Iterator[Sample | RejectedRow]:
        try:
            value = _json_object(raw)
            if "answers" in value:
                yield from self._merged_row(row, value)
            else:
                problem = self.problem(value.get("task_id"), "task_id")
                yield self.sample(problem, _completion(value, problem), _sample_id(value))
        except _RejectError as error:
            yield RejectedRow(row, str(error), excerpt(raw))

    def _merged_row(self, row: int, value: Mapping[str, Any]) -> Iterator[Sample | RejectedRow]:
        problem = self.problem(value.get("id"), "id")
        question, answers = value.get("question"), value["answers"]
        if question is not None and (not isinstance(question, str) or _plain(question) != _plain(problem.prompt)):
            raise _RejectError(f"column 'question' is not the prompt of task {problem.task_id!r}")
        if not isinstance(answers, list):
            raise _RejectError("column 'answers': not a list")
        for number, answer in enumerate(answers, start=1):
            text = answer.get("text") if isinstance(answer, dict) else None
            if isinstance(text, str):
                yield self.sample(problem, text, None)
            else:
                shown = json.dumps(answer).encode()
                yield RejectedRow(row, f"answer {number}: no text in column 'text'", excerpt(shown))


def import_samples(path: Path, problems: Mapping[str, Problem], model: str) -> Iterator[Sample | RejectedRow]:
    """The samples of others' file, in file order; each is said to be `model`'s. `problems` is keyed by `task_id`.

    Sample ids are the file's, or else count from 0 within each task. An empty completion is a sample. Raises DataError
    if the file can't be opened; everything within it that is wrong comes as a RejectedRow.
    """
    importer = _Importer(problems, model)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(
            error.strerror or str(error), where=str(path), fix="check the path given to --samples"
        ) from error
    with stream:
        begin = stream.read(len(codecs.BOM_UTF8))
        stream.seek(len(begin) if begin == codecs.BOM_UTF8 else 0)
        for row, raw in _elements(stream) if _is_list(stream) else _lines(stream):
            if raw is None:
                yield RejectedRow(row, f"longer than {MAX_ROW_BYTES // 1024**2} MB", "")
            else:
                yield from importer.read(row, raw)


def excerpt(raw: bytes) -> str:
    """The beginning of a row, printable whatever it holds."""
    text = raw[: 4 * EXCERPT_CHARS].decode("utf-8", "backslashreplace").strip()
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
    return shown if len(shown) <= EXCERPT_CHARS else shown[: EXCERPT_CHARS - 1] + "…"


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _RejectError(f"not UTF-8: byte {raw[error.start]:#04x} at position {error.start}") from error
    except json.JSONDecodeError as error:
        raise _RejectError(f"not JSON: {error.msg} at position {error.pos}") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        raise _RejectError(f"not JSON that can be read: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise _RejectError("not a JSON object")
    return value


def _completion(value: Mapping[str, Any], problem: Problem) -> str:
    """The text after the prompt. A whole program is cut at the prompt's end, line ends and trailing space not compared.

    Programs that don't begin with the prompt are refused, not appended: prompt + program would run, but as an example
    to train on it would teach to write the function twice.
    """
    completion, solution = value.get("completion"), value.get("solution")
    if completion is not None:
        if not isinstance(completion, str):
            raise _RejectError("column 'completion': not text")
        return completion
    if solution is None:
        raise _RejectError("no column 'completion' (nor 'solution')")
    if not isinstance(solution, str):
        raise _RejectError("column 'solution': not text")
    if solution.startswith(problem.prompt):
        return solution[len(problem.prompt) :]
    program, prompt = solution.replace("\r\n", "\n"), problem.prompt.replace("\r\n", "\n")
    if program.startswith(prompt):
        return program[len(prompt) :]
    body = program.removeprefix(prompt.rstrip())
    if body == program or not body.startswith((" ", "\t", "\n")):
        raise _RejectError("column 'solution' does not begin with the problem's prompt; give 'completion' instead")
    return body if body.startswith("\n") else "\n" + body


def _sample_id(value: Mapping[str, Any]) -> int | None:
    for column in ("sample_id", "completion_id"):
        given = value.get(column)
        if given is not None:
            if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < 2**63:
                raise _RejectError(f"column {column!r}: not a whole number from 0")
            return given
    return None


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _is_list(stream: IO[bytes]) -> bool:
    """Whether the file is one JSON list, not rows that begin with one (a bad one). Leaves the stream where it was."""
    start = stream.tell()
    try:
        while (line := stream.readline(MAX_ROW_BYTES)) and not line.strip():
            pass
        if not line.lstrip().startswith(b"["):
            return False
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return True  # the list goes on after the first line
        return not any(chunk.strip() for chunk in iter(lambda: stream.read(CHUNK_BYTES), b""))
    finally:
        stream.seek(start)


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """(row, line) of each line that isn't blank; None for one that is too long."""
    row = 0
    while line := stream.readline(MAX_ROW_BYTES + 1):
        row += 1
        if len(line) > MAX_ROW_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(CHUNK_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield row, None
        elif line.strip():
            yield row, line


def _elements(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """(row, text) of each element of the one JSON list in the stream; None for one that is too long.

    Only quotes, escapes, commas and brackets are looked at: what is in an element is the JSON reader's business, and
    a bad element leaves the others whole unless its own quotes or brackets don't match. What is left at the end of the
    file, or after the list, comes as a last element for the reader to refuse.
    """
    row, depth, quoted, skipped = 1, 0, False, 0
    element = _Buffer()
    while chunk := stream.read(CHUNK_BYTES):
        begin = 0
        for match in _STRUCTURE.finditer(chunk):
            at, char = match.start(), match[0]
            if at < skipped:  # the byte after a backslash
                continue
            if quoted:
                quoted = char != b'"'
                skipped = at + 2 if char == b"\\" else skipped
            elif char == b'"':
                quoted = True
            elif char in b"[{":
                depth += 1
                begin = at + 1 if depth == 1 else begin
            elif depth == 1 and char in b",]}":
                element.add(chunk[begin:at])
                if char == b"," or not element.blank:
                    yield row, element.take()
                    row += 1
                begin = at + 1
                depth = 1 if char == b"," else 0
            elif depth > 1 and char in b"]}":
                depth -= 1
        skipped = max(skipped - len(chunk), 0)
        element.add(chunk[begin:])
    if not element.blank:
        yield row, element.take()


@dataclass(slots=True)
class _Buffer:
    """The bytes of one element, thrown away once they are too many."""

    data: bytearray = field(default_factory=bytearray)
    too_long: bool = False

    def add(self, data: bytes) -> None:
        self.too_long = self.too_long or len(self.data) + len(data) > MAX_ROW_BYTES
        if self.too_long:
            self.data.clear()
        else:
            self.data += data

    @property
    def blank(self) -> bool:
        return not self.too_long and not self.data.strip()

    def take(self) -> bytes | None:
        taken = None if self.too_long else bytes(self.data)
        self.data.clear()
        self.too_long = False
        return taken
