"""Generators in threads as one stream: everything arrives, errors too, and an early end ends them all."""

from __future__ import annotations

import threading

import pytest

from harness.threads import merged


def test_everything_arrives_and_each_source_in_its_order():
    found = list(merged({"a": range(50), "b": range(100, 150)}, lambda: None))
    assert sorted(found) == [*range(50), *range(100, 150)]
    assert [one for one in found if one < 100] == list(range(50))


def test_an_error_ends_the_others():
    stop = threading.Event()

    def endless():
        while not stop.wait(0.001):
            yield 1

    def broken():
        yield 2
        raise ValueError("broke")

    with pytest.raises(ValueError, match="broke"):
        for _ in merged({"endless": endless(), "broken": broken()}, stop.set):
            pass
    assert not [one for one in threading.enumerate() if one.name in ("endless", "broken")]


def test_an_early_close_ends_them():
    stop = threading.Event()

    def endless():
        while not stop.wait(0.001):
            yield 1

    stream = merged({"closed early": endless()}, stop.set)
    assert next(stream) == 1
    stream.close()
    assert not [one for one in threading.enumerate() if one.name == "closed early"]
