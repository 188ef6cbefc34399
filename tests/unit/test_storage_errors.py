"""What is told of a disk that can't be written, whoever wrote to it."""

from __future__ import annotations

import errno
import os

import pytest

from harness.errors import DataError, UserError
from harness.storage_errors import storage_error, storage_errors


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not do that"),
        (errno.EPERM, "may not do that"),
        (errno.EIO, "reports an error"),
        (errno.ESTALE, "network drive"),
    ],
)
def test_each_fault_has_words_a_place_and_a_fix(tmp_path, number, words):
    told = storage_error(OSError(number, os.strerror(number)), tmp_path / "deep" / "file")
    assert words in told.what
    assert told.where.startswith(str(tmp_path / "deep" / "file"))
    assert "run the same command again" in told.fix


def test_the_file_that_the_system_names_comes_first(tmp_path):
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / "this"))
    assert storage_error(error, tmp_path / "that").where == str(tmp_path / "this")
    assert storage_error(OSError(errno.EROFS, "")).where == ""


def test_a_full_disk_is_told_with_the_room_there_is(tmp_path):
    assert "MB are free" in storage_error(OSError(errno.ENOSPC, ""), tmp_path / "not" / "there").where


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("I/O error: No space left on device (os error 28)"),  # safetensors
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),  # torch
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),  # Arrow
    ],
)
def test_libraries_that_say_it_in_their_own_way(error):
    assert storage_error(error).what == "the disk is full"


@pytest.mark.parametrize(
    "error", [ValueError("x"), FileNotFoundError(errno.ENOENT, "no such file"), DataError("Read-only file system")]
)
def test_other_errors_are_left_alone(error):
    assert storage_error(error) is None
    with pytest.raises(type(error)) as raised, storage_errors("x"):
        raise error
    assert raised.value is error


def test_what_is_raised_keeps_its_cause(tmp_path):
    with pytest.raises(UserError, match="the disk is full") as raised, storage_errors(tmp_path):
        raise OSError(errno.ENOSPC, "")
    assert isinstance(raised.value.__cause__, OSError)
