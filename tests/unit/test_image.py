"""What goes into the sandbox image decides its name, and nothing else does."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import image, image_finish
from sandbox.errors import ImageError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
FILES = st.dictionaries(NAMES, st.binary(max_size=20), max_size=4)


@given(FILES, FILES)
def test_equal_names_mean_equal_contents(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    assert (image.image_tag(first, "base") == image.image_tag(second, "base")) == (first == second)


def test_moving_a_byte_from_one_file_to_the_next_changes_the_name() -> None:
    assert image.content_hash([("a", b"xy"), ("b", b"z")]) != image.content_hash([("a", b"x"), ("b", b"yz")])


def test_the_base_is_part_of_the_name() -> None:
    assert image.image_tag({}, "python:a") != image.image_tag({}, "python:b")


def test_the_context_is_the_dockerfile_the_finishing_and_the_guest_only() -> None:
    files = image.context_files(image.source_folder())
    assert {"Dockerfile", "image_finish.py", "guest/warden.py"} <= set(files)
    assert all(name in ("Dockerfile", "image_finish.py") or name.startswith("guest/") for name in files)


def test_a_guest_source_changes_the_name(tmp_path: Path) -> None:
    (tmp_path / "sandbox" / "guest").mkdir(parents=True)
    (tmp_path / "Dockerfile.sandbox").write_text("FROM x")
    (tmp_path / "sandbox" / "image_finish.py").write_text("pass")
    source = tmp_path / "sandbox" / "guest" / "warden.py"
    tags = []
    for text in ("a = 1\n", "a = 2\n"):
        source.write_text(text)
        tags.append(image.image_tag(image.context_files(tmp_path), "base"))
    assert tags[0] != tags[1]
    (tmp_path / "sandbox" / "guest" / "notes.txt").write_text("not a source")
    assert image.image_tag(image.context_files(tmp_path), "base") == tags[1]


@given(FILES)
def test_the_build_context_is_the_same_bytes_whatever_the_order(files: dict[str, bytes]) -> None:
    tar = image.context_tar(files)
    assert tar == image.context_tar(dict(reversed(files.items())))
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        assert {m.name: opened.extractfile(m).read() for m in opened} == files


def test_the_default_base_is_pinned_by_digest() -> None:
    name, _, digest = image.OFFICIAL_BASE.partition("@sha256:")
    assert name.startswith("python:3.11")
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("./usr/bin/python3.11", True),
        ("./usr/share/doc/python3.11/copyright", True),
        ("./usr/share/doc/python3.11/NEWS.gz", False),
        ("./usr/sharepoint", True),
        ("./bin/tar", False),
        ("./dev/null", False),
        ("./lib64/ld-linux-x86-64.so.2", True),
    ],
)
def test_what_the_small_base_keeps(name: str, kept: bool) -> None:
    assert image.keep_member(name) is kept


def test_a_failing_build_shows_its_last_lines() -> None:
    events = [{"stream": "Step 1/3 : FROM x\n"}, {"stream": "boom\n"}, {"error": "returned a non-zero code: 1"}]
    with pytest.raises(ImageError, match="boom"):
        image._follow(iter(events))


def test_privilege_bits_are_taken_off_files_and_folders_but_nothing_else(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for path, mode in ((inner, 0o2755), (inner / "su", 0o4755), (inner / "both", 0o6711), (inner / "plain", 0o751)):
        if path is not inner:
            path.write_text("")
        path.chmod(mode)
    (inner / "link").symlink_to(inner / "plain")
    assert image_finish.strip_privilege_bits(tmp_path) == 3
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in inner.iterdir()}
    assert modes == {"su": 0o755, "both": 0o711, "plain": 0o751, "link": 0o751}
    assert stat.S_IMODE(inner.stat().st_mode) == 0o755
