"""Sampling from a real server: `transformers serve` with the built-in model, started here."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import app
from harness.progress import ConsoleReporter
from harness.records import FinishReason, Problem, Sample
from harness.sampling.models import resolve_model
from harness.sampling.settings import SamplingSettings, ServerSettings
from harness.sampling.stage import sample
from harness.store import Manifest, read_rows
from tests.training.small_data import PROBLEMS, PROMPTS

pytestmark = pytest.mark.training

MODEL, NAME = "smollm2-135m", "sample:smollm2-135m"
GREEDY = SamplingSettings(n_seq=1, max_new_tokens=60, server=ServerSettings(tokenizer=MODEL, concurrency=1))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address. Without what `transformers serve` needs (the dev extra) this fails, nothing is skipped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    model = resolve_model(MODEL, ConsoleReporter())
    command = [
        Path(sys.executable).with_name("transformers"),
        "serve",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as stream:
        options = ["--device", "cpu", "--dtype", "float32"]
        server = subprocess.Popen([*command, *options], stdout=stream, stderr=stream, env=environment)
    try:
        until = time.monotonic() + 120
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert server.poll() is None, f"no server (is the dev extra installed?):\n{log.read_text()[-2000:]}"
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def answers(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def drawn(
    model_path: str, folder: Path, settings: SamplingSettings, problems: Sequence[Problem] = PROBLEMS
) -> dict[tuple[str, int], Sample]:
    sample(problems, settings, folder, model_path=model_path, reporter=ConsoleReporter())
    return {(row.task_id, row.sample_id): row for row in read_rows(folder / "samples.jsonl", Sample)}


def test_a_served_model_writes_what_it_writes_here_and_is_stopped_at_the_same_place(
    address: str, tmp_path: Path
) -> None:
    served = drawn(address, tmp_path / "served", GREEDY)
    local = drawn(MODEL, tmp_path / "local", replace(GREEDY, dtype="float32"))
    assert served.keys() == local.keys()
    for key, row in local.items():
        assert row.finish_reason is FinishReason.FUNCTION_END, "a model that never stops would not test the stop"
        assert replace(served[key], completion_tokens=None) == replace(row, completion_tokens=None)
        assert row.completion_tokens is not None
        assert abs((served[key].completion_tokens or 0) - row.completion_tokens) <= 3
    stage = Manifest(tmp_path / "served").stage(NAME)
    server = stage["facts"]["server"]
    assert (server["url"], server["api"], server["lead"]) == (address, "completions", "given")
    assert server["troubles"] == 0
    assert stage["settings"]["model_fingerprint"].startswith("served:")
    assert stage["facts"]["tokens"] == sum(row.completion_tokens or 0 for row in served.values())

    path = tmp_path / "served" / "samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:30])
    again = drawn(address, tmp_path / "served", GREEDY)
    assert again == served
    assert path.read_bytes().startswith(lines[0])


def test_a_stream_that_is_left_stops_the_server(address: str, tmp_path: Path) -> None:
    """It writes one answer after the other, so a row that went on unread would keep the next waiting."""
    bare = replace(GREEDY, max_new_tokens=4000, server=ServerSettings(concurrency=1))
    served = str(resolve_model(MODEL, ConsoleReporter()))
    unread = {"model": served, "prompt": PROMPTS["total"], "temperature": 0, "max_tokens": 150}
    begun = time.monotonic()
    assert asked(f"{address}/completions", unread)["usage"]["completion_tokens"] == 150, "this prompt has no quick end"
    without_stop = time.monotonic() - begun
    begun = time.monotonic()
    rows = drawn(address, tmp_path, bare, [replace(PROBLEMS[1], task_id=str(number)) for number in range(3)])
    assert time.monotonic() - begun < without_stop
    assert {row.finish_reason for row in rows.values()} == {FinishReason.FUNCTION_END}


def asked(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as response:
        found = json.load(response)
    assert isinstance(found, dict)
    return found


def test_the_temperature_is_heeded(address: str, tmp_path: Path) -> None:
    """This server leaves a model's own do_sample as it is: asked by temperature alone, it gives one text four times."""
    settings = replace(GREEDY, n_seq=5, temperature=1.5, max_new_tokens=12)
    rows = drawn(address, tmp_path, settings, PROBLEMS[1:2])
    assert len({row.completion for row in rows.values()}) > 2
    for row in rows.values():
        assert 0 < (row.completion_tokens or 0) <= 12
        assert row.finish_reason is not FinishReason.LENGTH or row.completion_tokens == 12
    assert Manifest(tmp_path).stage(NAME)["facts"]["server"]["dialect"] == "transformers"


def test_answers_to_a_chat_become_completions(address: str, tmp_path: Path) -> None:
    chat = ServerSettings(tokenizer=MODEL, concurrency=1, api="chat")
    rows = drawn(address, tmp_path, replace(GREEDY, max_new_tokens=60, server=chat))
    assert Manifest(tmp_path).stage(NAME)["facts"]["server"]["lead"] == "extracted", "it takes no begun answer"
    assert all("```" not in row.completion for row in rows.values())
    assert rows["even", 0].completion == "    return n % 2 == 0\n"


def test_from_the_command_line(address: str, tmp_path: Path) -> None:
    words = f"sample --model_path {address} --tokenizer {MODEL} --split train --limit 2 --n_seq 1 --max_new_tokens 30"
    app([*words.split(), "--concurrency", "2", "--root", str(tmp_path)], standalone_mode=False)
    rows = list(read_rows(tmp_path / "samples" / "default" / "starter" / "train" / "samples.jsonl", Sample))
    assert len(rows) == 2
    assert all(row.completion and row.model == MODEL for row in rows)
