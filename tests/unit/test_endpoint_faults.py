"""Sampling from a server that misbehaves: what is tried again, what stops at once, and that nothing is lost."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from misbehaving_server import Handler, Script, serving

from harness.errors import UserError
from harness.progress import SilentReporter, Task
from harness.prompts import render
from harness.records import FinishReason, Problem, Sample
from harness.sampling.endpoint import EndpointSampler
from harness.sampling.retrying import Patience
from harness.sampling.settings import Row, SamplingSettings, ServerSettings
from harness.sampling.stage import sample
from harness.sampling.wire import request_seed
from harness.store import read_rows

BODY = ["    return", " n\n", "\n", "print", "(1)\n", "x = 2\n"]
COMPLETION = "    return n\n\n"
QUICK = Patience(attempts=4, first_pause=0.01, longest_pause=0.02, longest_asked=5.0, first_event=5.0, next_event=5.0)
PROBLEMS = [
    Problem(f"p{number}", f'def f(n):\n    """Number {number}."""\n', "def check(f): ...", "f", "test", "here")
    for number in range(3)
]


class Warnings(SilentReporter):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


def draw(
    address: str,
    folder: Path,
    *,
    n_seq: int = 2,
    patience: Patience = QUICK,
    warnings: Warnings | None = None,
    **server: Any,
) -> list[Sample]:
    asked = ServerSettings(patience=patience, **server)
    settings = SamplingSettings(n_seq=n_seq, temperature=0.5, max_new_tokens=20, server=asked)
    sample(PROBLEMS, settings, folder, model_path=address, reporter=warnings or SilentReporter())
    return rows(folder)


def rows(folder: Path) -> list[Sample]:
    return list(read_rows(folder / "samples.jsonl", Sample))


def good(handler: Handler, body: dict[str, Any], number: int) -> None:
    handler.stream(BODY)


def recorded(folder: Path) -> dict[str, Any]:
    (stage,) = json.loads((folder / "manifest.json").read_text())["stages"].values()
    found = stage["facts"]
    assert isinstance(found, dict)
    return found


def facts(folder: Path) -> dict[str, Any]:
    found = recorded(folder)["server"]
    assert isinstance(found, dict)
    return found


def test_rows_are_cut_where_the_function_ends_each_with_its_own_seed(tmp_path: Path) -> None:
    script = Script(good)
    with serving(script) as address:
        found = draw(address, tmp_path)
    assert {row.key for row in found} == {("m", f"p{n}", k) for n in range(3) for k in range(2)}
    assert {(row.completion, row.finish_reason) for row in found} == {(COMPLETION, FinishReason.FUNCTION_END)}
    assert {(row.prompt_tokens, row.completion_tokens) for row in found} == {(None, None)}, "nobody counted"
    assert recorded(tmp_path)["tokens"] is None
    probe, *asked = script.bodies
    assert probe["max_tokens"] == 1
    wanted = {(p.prompt, request_seed(1, Row(p.task_id, k))) for p in PROBLEMS for k in range(2)}
    assert {(body["prompt"], body["seed"]) for body in asked} == wanted
    assert all(
        body | {"temperature": 0.5, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "stream": True} == body for body in asked
    )
    assert facts(tmp_path)["reported_models"] == ["m-1"]
    assert (facts(tmp_path)["url"], facts(tmp_path)["dialect"]) == (address, "explicit")


def test_the_connection_is_closed_once_the_function_is_over(tmp_path: Path) -> None:
    """A server that would write for ten seconds more is left at once, and sees it."""

    def endless(handler: Handler, body: dict[str, Any], number: int) -> None:
        if number == 0:
            return good(handler, body, number)
        handler.begin()
        for piece in BODY:
            handler.text(piece)
        for _ in range(200):
            time.sleep(0.05)
            handler.text("more\n")
        return None

    script = Script(endless)
    with serving(script) as address:
        begun = time.monotonic()
        assert len(draw(address, tmp_path)) == 6
        assert time.monotonic() - begun < 5
        for _ in range(100):
            if script.gone >= set(range(1, 7)):
                break
            time.sleep(0.05)
    assert script.gone >= set(range(1, 7))


def test_no_more_requests_at_a_time_than_asked_for(tmp_path: Path) -> None:
    script = Script(lambda handler, body, number: handler.stream(BODY[:2], pause=0.05))
    with serving(script) as address:
        draw(address, tmp_path, n_seq=4, concurrency=3)
    assert script.most_at_once == 3


@pytest.mark.parametrize(
    "fault",
    [
        lambda handler: handler.plain(429, '{"error": {"message": "slow down"}}', retry_after="0"),
        lambda handler: handler.plain(500, "<html>oops</html>"),
        lambda handler: handler.plain(503, "", retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
        lambda handler: (handler.begin(), handler.text("    ret")),  # cut in the middle
        lambda handler: (handler.begin(), handler.event("{not json")),
        lambda handler: (handler.begin(), handler.event({"choices": [{"index": 0, "text": 7}]})),
        lambda handler: (handler.begin(), handler.event({"error": {"message": "CUDA", "code": 500}})),
        lambda handler: (handler.begin(), handler.text("    return 1", "abort")),
        lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
        lambda handler: (handler.begin("text/html"), handler.wfile.write(b"<html>")),
        lambda handler: (handler.begin(), [handler.text("x" * 10_000) for _ in range(3)]),
        lambda handler: (handler.begin(), [handler.text("") for _ in range(1000)]),
        lambda handler: handler.plain(200, "{}", content_encoding="gzip"),
    ],
)
def test_a_fault_that_passes_leaves_no_trace_but_a_count(fault: Any, tmp_path: Path) -> None:
    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        handler.close_connection = True
        fault(handler) if number == 2 else good(handler, body, number)

    warnings = Warnings()
    with serving(Script(act)) as address:
        found = draw(address, tmp_path, warnings=warnings)
    assert [row.completion for row in found] == [COMPLETION] * 6
    assert len({row.key for row in found}) == 6
    assert facts(tmp_path)["troubles"] == 1
    assert len(warnings.warned) == 1


def test_a_server_that_stays_broken_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    broken = True

    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        if number > 3 and broken:
            handler.plain(503, '{"error": "no capacity"}')
        else:
            good(handler, body, number)

    script = Script(act)
    with serving(script) as address:
        with pytest.raises(UserError, match=r"HTTP 503: no capacity \(tried 4 times\)[\s\S]*goes on"):
            draw(address, tmp_path, concurrency=1)
        before = rows(tmp_path)
        assert len(before) == 3
        broken, asked = False, len(script.bodies)
        assert draw(address, tmp_path, concurrency=2)[:3] == before
        assert len(rows(tmp_path)) == 6
        assert len(script.bodies) == asked + 1 + 3
        asked = len(script.bodies)
        draw(address, tmp_path, served_model="m")
        assert len(script.bodies) == asked, "nothing was missing, so nothing may be asked"
    assert facts(tmp_path)["troubles"] == 3


@pytest.mark.parametrize(("status", "fix"), [(400, "--task-ids"), (413, "--tokenizer"), (403, "--api_key_env")])
def test_a_refusal_is_told_at_once_in_the_servers_words(status: int, fix: str, tmp_path: Path) -> None:
    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        if number == 3:
            handler.plain(status, json.dumps({"error": {"message": "too \x1b[31mlong"}}))
        else:
            good(handler, body, number)

    script = Script(act)
    with serving(script) as address, pytest.raises(UserError) as caught:
        draw(address, tmp_path, concurrency=1)
    assert f"HTTP {status}: too [31mlong (problem p1)" in caught.value.what
    assert "\x1b" not in str(caught.value)
    assert fix in caught.value.fix
    assert len(script.bodies) == 4
    assert len(rows(tmp_path)) == 2


def test_a_silent_server_is_not_waited_for_forever(tmp_path: Path) -> None:
    released = threading.Event()

    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        if number == 0:
            return good(handler, body, number)
        handler.begin()
        handler.text("    ret")
        released.wait(20)
        return None

    patience = dataclasses.replace(QUICK, attempts=2, next_event=0.1)
    with serving(Script(act)) as address:
        begun = time.monotonic()
        with pytest.raises(UserError, match=r"nothing came for 0\.1 s \(tried 2 times\)"):
            draw(address, tmp_path, patience=patience)
        assert time.monotonic() - begun < 5
        released.set()


def test_a_pause_longer_than_patience_is_told_and_not_slept(tmp_path: Path) -> None:
    script = Script(lambda handler, body, number: handler.plain(429, "", retry_after="3600"))
    with serving(script) as address, pytest.raises(UserError, match="come back in 3600 s"):
        draw(address, tmp_path)
    assert len(script.bodies) == 1


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(UserError, match=r"can't reach the server[\s\S]*tried 3 times"):
        draw(address, tmp_path)


def test_the_key_goes_to_the_server_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-secret-0123456789"
    monkeypatch.setenv("SOME_KEY", key)
    elsewhere = Script(good)

    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        if number == 4:
            handler.plain(401, json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}}))
        else:
            good(handler, body, number)

    script = Script(act)
    with serving(script) as address, pytest.raises(UserError, match="SOME_KEY") as caught:
        draw(address, tmp_path, concurrency=1, api_key_env="SOME_KEY")
    assert {headers["authorization"] for headers in script.headers} == {f"Bearer {key}"}
    assert key not in str(caught.value)
    assert "[key]" in caught.value.what
    assert not any(key in path.read_text() for path in tmp_path.iterdir())

    with serving(elsewhere) as other:
        moved = Script(lambda handler, body, number: handler.plain(307, "", location=f"{other}/completions"))
        with serving(moved) as address, pytest.raises(UserError, match="which is not followed"):
            draw(address, tmp_path / "moved", api_key_env="SOME_KEY")
    assert elsewhere.bodies == []
    with pytest.raises(UserError, match="no key in UNSET_KEY"):
        draw("http://127.0.0.1:1/v1", tmp_path / "unset", served_model="m", api_key_env="UNSET_KEY")


@pytest.mark.parametrize(
    ("takes", "dialect"),
    [
        (lambda body: body.get("top_k") == -1, "explicit_-1"),
        (lambda body: "top_k" not in body and "generation_config" in body, "transformers"),
        (lambda body: body.keys().isdisjoint({"top_k", "generation_config"}), "standard"),
        (lambda body: body.keys().isdisjoint({"top_k", "generation_config", "max_tokens"}), "completion_tokens"),
        (lambda body: body.keys().isdisjoint({"top_p", "generation_config"}), "bare"),
    ],
)
def test_a_server_is_asked_as_explicitly_as_it_takes(takes: Any, dialect: str, tmp_path: Path) -> None:
    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        good(handler, body, number) if takes(body) else handler.plain(422, '{"detail": "unexpected field"}')

    script = Script(act)
    with serving(script) as address:
        assert len(draw(address, tmp_path)) == 6
    assert facts(tmp_path)["dialect"] == dialect
    assert all(takes(body) for body in script.bodies[-6:])


def test_a_server_of_chats_only_and_rows_of_two_kinds_never_mix(tmp_path: Path) -> None:
    answer = ["Sure:\n\n", "```python\n", "def f(n):\n", "    return n + 1\n", "```", "\n", "Explained at length."]

    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        if handler.path != "/v1/chat/completions":
            return handler.plain(404, '{"detail": "Not Found"}')
        handler.begin()
        handler.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]})
        for part in answer:
            handler.event({"choices": [{"index": 0, "delta": {"content": part}}]})
        handler.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        return None

    with serving(Script(act)) as address:
        found = draw(address, tmp_path)
        assert {(row.completion, row.finish_reason) for row in found} == {
            ("    return n + 1\n", FinishReason.FUNCTION_END)
        }
        assert (facts(tmp_path)["api"], facts(tmp_path)["lead"]) == ("chat", "extracted")
    with serving(Script(good)) as address:
        (tmp_path / "samples.jsonl").write_text("")
        with pytest.raises(UserError, match="asked for in another way"):
            draw(address, tmp_path)


def test_which_model(tmp_path: Path) -> None:
    two = Script(good, models=[{"id": "org/a"}, {"id": "org/b"}])
    with serving(two) as address:
        with pytest.raises(UserError, match="which model"):
            draw(address, tmp_path)
        assert {row.model for row in draw(address, tmp_path, served_model="org/b")} == {"b"}
    assert {body["model"] for body in two.bodies} == {"org/b"}
    with serving(Script(good, models=None)) as address, pytest.raises(UserError, match="does not say"):
        draw(address, tmp_path)
    gone = Script(lambda handler, body, number: handler.plain(404, '{"error": {"message": "no model x"}}'))
    with serving(gone) as address, pytest.raises(UserError, match=r"no model x[\s\S]*it serves: m"):
        draw(address, tmp_path / "gone", served_model="x")


class Interrupted(SilentReporter):
    """Somebody presses Ctrl-C once the first row is written."""

    @contextmanager
    def task(self, label: str, total: int, *, done: int = 0, unit: str = "") -> Iterator[Task]:
        yield self

    def advance(self, count: int = 1, note: str = "") -> None:
        raise KeyboardInterrupt


def test_an_interrupted_run_leaves_no_request_behind(tmp_path: Path) -> None:
    """Also while the interrupt, and with it every frame of the run, is still held."""

    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        if number < 2:
            return good(handler, body, number)
        handler.begin()
        for _ in range(200):
            handler.text(" x")
            time.sleep(0.05)
        return None

    script, server = Script(act), ServerSettings(concurrency=2, patience=QUICK)
    settings = SamplingSettings(n_seq=4, max_new_tokens=500, server=server)
    with serving(script) as address:
        with pytest.raises(KeyboardInterrupt) as held:
            sample(PROBLEMS, settings, tmp_path, model_path=address, reporter=Interrupted())
        assert held.value is not None
        assert not any(thread.name == "server" for thread in threading.enumerate())
        for _ in range(100):
            if not script.at_once:
                break
            time.sleep(0.05)
        assert script.at_once == 0
        assert len(script.bodies) <= 5
    assert len(rows(tmp_path)) == 1


class Letters:
    """A tokenizer of one token a character, with a chat template, that puts one token before plain text."""

    chat_template, bos_token, bos_token_id = "there is one", "\N{START OF HEADING}", 1

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [1] * add_special_tokens + [ord(mark) for mark in text]}

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        said = "".join(f"<{message['role']}>{message['content']}" for message in conversation)
        return f"{self.bos_token}{said}{'<assistant>' * add_generation_prompt}"


@pytest.mark.parametrize("continues", [True, False])
def test_an_answer_is_begun_for_a_server_only_if_it_is_seen_to_go_on_from_there(continues: bool) -> None:
    """Seen by the count of the prompt's tokens: one that starts a new answer counts more."""

    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        text = Letters().apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=not continues)
        handler.begin()
        handler.event({"choices": [{"delta": {"content": "x"}, "finish_reason": "length"}]})
        handler.event({"choices": [], "usage": {"prompt_tokens": len(text), "completion_tokens": 1}})
        handler.event("[DONE]")

    script, warnings = Script(act), Warnings()
    server = ServerSettings(api="chat", patience=QUICK)
    with serving(script) as address:
        sampler = EndpointSampler(address, "m", server, Letters(), warnings, {})
        assert sampler.facts({})["server"]["lead"] == ("prefilled" if continues else "extracted")
        asked = sampler.start(PROBLEMS[0].prompt)
    assert warnings.warned == []
    if continues:
        *_, last = asked.content["messages"]
        assert last == {"role": "assistant", "content": f"```python\n{PROBLEMS[0].prompt}   "}
        assert asked.lead == "   "
    else:
        assert [message["role"] for message in asked.content["messages"]] == ["user"]


def test_the_same_text_as_here_without_the_token_that_the_server_adds(tmp_path: Path) -> None:
    def act(handler: Handler, body: dict[str, Any], number: int) -> None:
        handler.begin()
        handler.event({"choices": [{"text": " y", "finish_reason": "length"}]})
        handler.event(
            {"choices": [], "usage": {"prompt_tokens": 1 + len(body["prompt"]) + extra, "completion_tokens": 1}}
        )
        handler.event("[DONE]")

    for extra in (0, 5):
        warnings = Warnings()
        with serving(Script(act)) as address:
            sampler = EndpointSampler(address, "m", ServerSettings(patience=QUICK), Letters(), warnings, {})
            asked = sampler.start(PROBLEMS[0].prompt)
            (written,) = sampler.write([Row("p", 0)], {"p": asked}, SamplingSettings(max_new_tokens=1))
        text = render(PROBLEMS[0].prompt, Letters()).text
        assert asked.content["prompt"] == text[1:]
        assert asked.prompt_tokens == len(text)
        assert (written.text, written.tokens, written.finish_reason) == (" y", 1, FinishReason.LENGTH)
        assert ["the tokenizer of the model" in warning for warning in warnings.warned] == [True] * (extra > 0)
