"""What the run folder promises: nothing finished is lost, nothing half-done is read, other settings are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.errors import DataError, UserError
from harness.records import FinishReason, MeasurementBlock, Sample, SolutionTiming
from harness.store import (
    AppendFile,
    Manifest,
    encode_row,
    locked,
    parse_row,
    read_json,
    read_rows,
    write_atomically,
    write_rows,
)


def sample(number: int = 0, completion: str = "x") -> Sample:
    return Sample("t", number, "m", completion, FinishReason.EOS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "rows.jsonl"


def write(path: Path, *rows: Sample) -> None:
    with AppendFile(path) as stream:
        for row in rows:
            stream.append(row)


def test_rows_come_back_and_more_are_added(path: Path) -> None:
    assert list(read_rows(path, Sample)) == []
    write(path, sample(0), sample(1))
    write(path, sample(2))
    assert list(read_rows(path, Sample)) == [sample(0), sample(1), sample(2)]
    with AppendFile(path, overwrite=True) as stream:
        stream.append(sample(9))
    assert list(read_rows(path, Sample)) == [sample(9)]


def test_a_row_is_on_disk_before_the_file_is_closed(path: Path) -> None:
    with AppendFile(path) as stream:
        stream.append(sample(0))
        assert list(read_rows(path, Sample)) == [sample(0)]


@pytest.mark.parametrize("length", [1, 40, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("finished", [0, 2])
def test_a_half_written_last_line_is_dropped(path: Path, length: int, finished: int) -> None:
    write(path, *(sample(number) for number in range(finished)))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"task_id": "' + b"x" * length)
    assert len(list(read_rows(path, Sample))) == finished
    AppendFile(path).close()
    assert path.read_bytes() == whole
    path.write_bytes(whole + b"{" * length)
    write(path, sample(7))
    assert list(read_rows(path, Sample))[finished:] == [sample(7)]


def test_a_killed_writer_loses_nothing_that_was_finished(path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from harness.store import AppendFile\n"
        "stream = AppendFile(Path(sys.argv[1]))\n"
        "for n in range(100):\n"
        "    stream.append({'n': n})\n"
        "stream._stream.write(b'{\"n\": 10')\n"
        "stream._stream.flush()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    AppendFile(path).close()
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == list(range(100))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=60))
@example("\ud800")
@example("\udfff \ud83d x \ude00 \x00 \u2028 \r\n \x7f")
def test_any_text_comes_back(text: str) -> None:
    line = encode_row(sample(0, text))
    assert "\n" not in line
    assert line.isascii()
    got = parse_row(Sample, line.encode(), where="f:1")
    # A high surrogate before a low one is, in JSON, the character that they stand for.
    assert got.completion == text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def test_nested_rows_come_back() -> None:
    timing = SolutionTiming("s", 4, [10, 11], [12, 13], 9, 0, 3, "d", ["noisy", "failed:\ud800"])
    block = MeasurementBlock("t\ud800", 3, 1, 7, (100, 101), False, [timing])
    assert parse_row(MeasurementBlock, encode_row(block), where="") == block


def test_numbers_that_json_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_row({"x": float("nan")})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"task_id": "t"}', "'sample_id'"),
        (
            '{"task_id": "t", "sample_id": "many", "model": "m", "completion": "", "finish_reason": "eos"}',
            "'sample_id'",
        ),
        (
            '{"task_id": "\\ud800", "sample_id": "many", "model": "m", "completion": "", "finish_reason": "eos"}',
            "'sample_id'",
        ),
        (
            '{"task_id": "t", "sample_id": 1, "model": "m", "completion": "", "finish_reason": "bored"}',
            "'finish_reason'",
        ),
        ('{"task_id": 7, "sample_id": 1, "model": "m", "completion": "", "finish_reason": "eos"}', "'task_id'"),
        ("{", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("[]", "Sample"),
    ],
)
def test_errors_name_file_row_and_column(path: Path, line: str, message: str) -> None:
    write(path, sample(0))
    with path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError) as error:
        list(read_rows(path, Sample))
    assert error.value.where == f"{path}:2"
    assert message in str(error.value)
    assert "docs/results.md" in error.value.fix


def test_bytes_that_are_not_utf_8(path: Path) -> None:
    write(path, sample(0))
    path.write_bytes(path.read_bytes() + b'{"task_id": "\xff"}\n')
    with pytest.raises(DataError) as error:
        list(read_rows(path, Sample))
    assert error.value.where == f"{path}:2"


def test_columns_of_nested_rows_are_named() -> None:
    block = MeasurementBlock("t", 3, 1, 7, (100, 101), False, [SolutionTiming("s", 4, [1], [1], 9, 0, 3, "d")])
    broken = json.loads(encode_row(block))
    broken["solutions"][0]["cpu_ns"][0] = "long"
    with pytest.raises(DataError, match=r"'solutions\.0\.cpu_ns\.0'"):
        parse_row(MeasurementBlock, json.dumps(broken), where="f:1")


def test_write_atomically_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, "old")
    write_atomically(path, b"new\x00")
    assert path.read_bytes() == b"new\x00"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_write_atomically_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    with pytest.raises(ValueError, match="JSON"):
        write_rows(path, [{"x": 1}, {"x": float("inf")}])
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_write_rows(path: Path) -> None:
    write_rows(path, (sample(number) for number in range(3)))
    assert list(read_rows(path, Sample)) == [sample(0), sample(1), sample(2)]


def test_the_manifest_remembers_and_refuses(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    assert manifest.stage("sample") == {}
    manifest.begin("sample", {"temp": 0.6, "seed": 1, "cores": (0, 1)})
    manifest.note("sample", host="h")
    again = Manifest(tmp_path)
    again.begin("sample", {"temp": 0.6, "seed": 1, "cores": (0, 1)})
    assert again.stage("sample") == {"settings": {"temp": 0.6, "seed": 1, "cores": [0, 1]}, "facts": {"host": "h"}}
    with pytest.raises(UserError) as error:
        Manifest(tmp_path).begin("sample", {"temp": 0.8, "seed": 1, "extra": None, "top": 1})
    message = str(error.value)
    assert "temp: 0.6 there, 0.8 now" in message
    assert "top: None there, 1 now" in message
    assert "seed" not in message
    assert "--overwrite" in error.value.fix
    assert Manifest(tmp_path).stage("sample")["settings"]["temp"] == 0.6
    again.begin("sample", {"temp": 0.8}, overwrite=True)
    assert Manifest(tmp_path).stage("sample") == {"settings": {"temp": 0.8}, "facts": {}}
    again.begin("annotate", {"temp": 1})
    assert Manifest(tmp_path).stage("sample")["settings"] == {"temp": 0.8}


@pytest.mark.parametrize("content", ["", "[]", "{", "\0" * 300, '{"schema_version": 99, "stages": {}}', "{}"])
def test_a_manifest_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError) as error:
        Manifest(tmp_path)
    assert "manifest.json" in error.value.where


def test_read_json_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent"):
        read_json(tmp_path / "absent")
    (tmp_path / "bad").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataError, match="bad"):
        read_json(tmp_path / "bad")


def test_a_second_command_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness.store import locked\n"
        "with locked(Path(sys.argv[1])):\n"
        "    print('in')\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    with locked(folder):
        other = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=os.environ)
        assert "another command is working on this folder" in other.stderr
        with locked(folder):  # a stage of the command that holds it
            pass
        with ThreadPoolExecutor(1) as pool, pytest.raises(UserError):
            pool.submit(locked(folder).__enter__).result()
        again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "another command is working on this folder" in again.stderr
    assert subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout == "in\n"
    with pytest.raises(RuntimeError), locked(folder):
        raise RuntimeError
    with locked(folder):
        pass
