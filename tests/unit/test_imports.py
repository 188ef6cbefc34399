"""Reading what others wrote: the three shapes, and every way in which a row can be bad without costing the others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import harness.exchange.rows
from harness.errors import DataError
from harness.exchange.rows import RejectedRow
from harness.exchange.samples import SampleImporter
from harness.records import FinishReason, Problem, Sample

PROMPT = 'def f(x):\n    """Doc."""\n'
PROBLEMS = {task: Problem(task, PROMPT, "", "f", "test", "test") for task in ("MBPP/1", "MBPP/2", "7")}
DATA = Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data"))


def read(path: Path, content: bytes | str | list[object]) -> list[Sample | RejectedRow]:
    if isinstance(content, list):
        content = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(SampleImporter(PROBLEMS, "m").read(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows"


def shown(rows: list[Sample | RejectedRow]) -> list[tuple[str, int, str] | tuple[int, str]]:
    return [(r.task_id, r.sample_id, r.completion) if isinstance(r, Sample) else (r.row, r.reason) for r in rows]


def test_rows_of_completions(path: Path) -> None:
    rows = read(
        path,
        [
            {"task_id": "MBPP/1", "completion": "a"},
            {"task_id": "7", "completion": ""},
            {"task_id": "MBPP/1", "completion": "a"},
            {"task_id": "MBPP/2", "completion": "b", "sample_id": 5},
            {"task_id": "MBPP/2", "completion": "c", "completion_id": 0},
            {"task_id": "MBPP/2", "completion": "d"},
        ],
    )
    assert shown(rows) == [
        ("MBPP/1", 0, "a"),
        ("7", 0, ""),
        ("MBPP/1", 1, "a"),
        ("MBPP/2", 5, "b"),
        ("MBPP/2", 0, "c"),
        ("MBPP/2", 1, "d"),
    ]
    first = rows[0]
    assert isinstance(first, Sample)
    assert (first.model, first.finish_reason) == ("m", FinishReason.IMPORTED)


def test_other_spellings_of_task_ids(path: Path) -> None:
    names = ["Mbpp/1", 1, "1", 7, "HumanEval/1", "MBPP/7", True, 1.0, None]
    rows = read(path, [{"task_id": name, "completion": "a"} for name in names])
    assert [r.task_id if isinstance(r, Sample) else r.reason for r in rows] == [
        "MBPP/1",
        "MBPP/1",
        "MBPP/1",
        "7",
        "unknown task 'HumanEval/1'",
        "7",
        "column 'task_id': neither text nor a whole number",
        "column 'task_id': neither text nor a whole number",
        "no column 'task_id'",
    ]


def test_a_short_name_of_two_tasks_means_none(path: Path) -> None:
    path.write_text('{"task_id": 1, "completion": "a"}\n')
    problems = {task: Problem(task, PROMPT, "", "f", "test", "test") for task in ("A/1", "B/1")}
    (row,) = SampleImporter(problems, "m").read(path)
    assert isinstance(row, RejectedRow)


def test_bad_rows_cost_themselves_only(path: Path) -> None:
    good = b'{"task_id": "7", "completion": "ok"}\n'
    bad = [
        (b"\n", None),
        (b'{"task_id": "7", "completion": "\xff"}\n', "not UTF-8: byte 0xff at position 32"),
        (b'{"task_id": "7", "completion"\n', "not JSON: Expecting ':' delimiter at position 30"),
        (b"7\n", "not a JSON object"),
        (b"[1, 2]\n", "not a JSON object"),
        (b'{"task_id": "nine", "completion": ""}\n', "unknown task 'nine'"),
        (b'{"task_id": "7"}\n', "no column 'completion' (nor 'solution')"),
        (b'{"task_id": "7", "completion": null}\n', "no column 'completion' (nor 'solution')"),
        (b'{"task_id": "7", "completion": ["x"]}\n', "column 'completion': not text"),
        (b'{"completion": "x"}\n', "no column 'task_id'"),
        (b'{"task_id": "7", "completion": "", "sample_id": -1}\n', "column 'sample_id': not a whole number from 0"),
        (b'{"task_id": "7", "completion": "", "sample_id": true}\n', "column 'sample_id': not a whole number from 0"),
        (b'{"task_id": "7", "completion": "", "sample_id": 0}\n', "sample 0 of task '7' was there before"),
        (b"[" * 100_000 + b"\n", "not JSON that can be read: RecursionError"),
        (b'{"task_id": ' + b"1" * 5000 + b"}\n", "not JSON that can be read: ValueError"),
    ]
    rows = read(path, good + b"".join(line + good for line, _ in bad))
    expected: list[tuple[str, int, str] | tuple[int, str]] = [("7", 0, "ok")]
    for number, (_, reason) in enumerate(bad, start=1):
        expected += [(2 * number, reason)] if reason else []
        expected.append(("7", number, "ok"))
    assert shown(rows) == expected


def test_the_excerpt_is_short_and_printable(path: Path) -> None:
    (row,) = read(path, b'{"task_id": "\xff\x1b[31m' + b"x" * 10_000)
    assert isinstance(row, RejectedRow)
    assert row.excerpt.startswith('{"task_id": "\\xff\\x1b[31mxxx')
    assert len(row.excerpt) == 120
    assert row.excerpt.isprintable()


def test_a_last_line_without_its_end_and_a_byte_order_mark(path: Path) -> None:
    rows = read(path, b'\xef\xbb\xbf{"task_id": "7", "completion": "a"}\r\n{"task_id": "7", "completion": "b"}')
    assert shown(rows) == [("7", 0, "a"), ("7", 1, "b")]


@pytest.mark.parametrize(
    ("solution", "completion"),
    [
        (PROMPT + "    return x\n", "    return x\n"),
        (PROMPT.replace("\n", "\r\n") + "    return x\r\n", "    return x\n"),
        (PROMPT.rstrip() + "\n\n    return x\n", "\n    return x\n"),
        (PROMPT.rstrip() + "\n    return x\n", "    return x\n"),
        (PROMPT.rstrip(), None),
        ("import math\n" + PROMPT + "    return x\n", None),
        (5, None),
    ],
)
def test_whole_programs_are_cut_at_the_prompts_end(path: Path, solution: object, completion: str | None) -> None:
    (row,) = read(path, [{"task_id": "7", "solution": solution}])
    if completion is None:
        assert isinstance(row, RejectedRow)
        assert "solution" in row.reason
    else:
        assert isinstance(row, Sample)
        assert row.completion == completion


def test_published_merged_rows(path: Path) -> None:
    answers = [
        {"text": "a", "votes": 1.5},
        {"text": "", "votes": None},
        {"votes": 1.0},
        3,
        {"text": "\ud800", "votes": None},
    ]
    rows = read(
        path,
        [
            {"id": 7, "question": PROMPT.strip().replace("\n", "\r\n"), "answers": answers, "time": {}},
            {"id": 7, "question": "def g(): pass", "answers": []},
            {"id": 8, "question": PROMPT, "answers": []},
            {"id": "MBPP/1", "answers": {}},
            {"id": "MBPP/1", "question": PROMPT, "answers": [{"text": "z"}]},
        ],
    )
    assert shown(rows) == [
        ("7", 0, "a"),
        ("7", 1, ""),
        (1, "answer 3: no text in column 'text'"),
        (1, "answer 4: no text in column 'text'"),
        ("7", 2, "\ud800"),
        (2, "column 'question' is not the prompt of task '7'"),
        (3, "unknown task '8'"),
        (4, "column 'answers': not a list"),
        ("MBPP/1", 0, "z"),
    ]


@pytest.mark.parametrize("indent", [None, 1])
def test_published_outputs(path: Path, indent: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"task_id": "7", "completion": 'a"]}\\,[{\n' + str(i)} for i in range(50)]
    listed = json.dumps([*rows, {"task_id": "9", "completion": ""}, 5], indent=indent)
    for chunk in (1, 2, 7, 1024):
        monkeypatch.setattr(harness.exchange.rows, "CHUNK_BYTES", chunk)
        assert shown(read(path, listed)) == [
            *(("7", i, rows[i]["completion"]) for i in range(50)),
            (51, "unknown task '9'"),
            (52, "not a JSON object"),
        ]


def test_a_bad_element_of_a_list_costs_itself_only(path: Path) -> None:
    good = b'{"task_id": "7", "completion": "a"}'
    rows = read(
        path, b"[" + good + b",\n {oops},\n" + good + b', {"task_id": "7", "completion": "\xff"},' + good + b"]\n"
    )
    assert [r.row if isinstance(r, RejectedRow) else r.sample_id for r in rows] == [0, 2, 1, 4, 2]
    cut = read(path, b"[" + good + b",\n" + good[:20])
    assert [type(r) for r in cut] == [Sample, RejectedRow]
    assert read(path, b"[]") == read(path, b" \n[\n]\n") == []


@pytest.mark.parametrize("listed", [False, True])
def test_rows_that_are_too_long(path: Path, listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.exchange.rows, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(harness.exchange.rows, "CHUNK_BYTES", 64)
    rows = [json.dumps({"task_id": "7", "completion": "x" * size}) for size in (10, 5000, 20)]
    got = read(path, "[" + ",\n".join(rows) + "]" if listed else "\n".join(rows))
    assert [r.reason if isinstance(r, RejectedRow) else len(r.completion) for r in got] == [10, "longer than 0 MB", 20]
    assert [r.row for r in got if isinstance(r, RejectedRow)] == [2]


def test_a_long_completion_is_kept_whole(path: Path) -> None:
    (row,) = read(path, [{"task_id": "7", "completion": "é" * 1_000_000}])
    assert isinstance(row, Sample)
    assert row.completion == "é" * 1_000_000


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list(SampleImporter(PROBLEMS, "m").read(tmp_path / "none"))
    with pytest.raises(DataError):
        list(SampleImporter(PROBLEMS, "m").read(tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(), max_size=30), max_size=8), st.booleans(), st.booleans())
@example(["\ud800", "\\", '"', "\r\n", "\u2028"], True, True)
def test_any_completion_comes_back(path: Path, texts: list[str], listed: bool, escaped: bool) -> None:
    rows = [json.dumps({"completion": text, "task_id": "7"}, ensure_ascii=escaped) for text in texts]
    content = ("[" + ",".join(rows) + "]" if listed else "\n".join(rows)).encode("utf-8", "surrogatepass")
    got = read(path, content)
    for text, row in zip(texts, got, strict=True):
        if isinstance(row, Sample):
            assert row.completion == text
        else:  # a raw lone surrogate is not UTF-8
            assert not escaped
            assert any("\ud800" <= char <= "\udfff" for char in text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
@example(b'["')
@example(b"[}")
@example(b"[[")
@example(b'["\\')
def test_any_bytes_are_read_to_their_end(path: Path, content: bytes) -> None:
    assert all(isinstance(row, RejectedRow) for row in read(path, content))


def test_the_released_files() -> None:
    released = DATA / "released" / "starcoder-1b_mbpp_validation.merged.jsonl"
    if not released.exists():
        pytest.skip(f"{released} is not here: set CODE_OPTIMISE_DATA to the folder with the released data")
    lines = [json.loads(line) for line in released.read_text().splitlines()]
    problems = {
        str(r["id"]): Problem(str(r["id"]), r["question"].replace("\r\n", "\n"), "", "f", "test", "t") for r in lines
    }
    rows = list(SampleImporter(problems, "starcoder-1b").read(released))
    assert len(rows) == 3533
    assert all(isinstance(row, Sample) for row in rows)
    texts = [answer["text"] for line in lines for answer in line["answers"]]
    assert [row.completion for row in rows if isinstance(row, Sample)] == texts
