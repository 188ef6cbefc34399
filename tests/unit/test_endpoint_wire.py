"""What is made of a server's answers and of an address: nothing is believed that was not checked."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.asked import Drawing
from harness.errors import UserError
from harness.progress import SilentReporter
from harness.sampling.address import checked, is_address, is_loopback
from harness.sampling.function_end import scan
from harness.sampling.models import resolve_model
from harness.sampling.reading import Answer, Continuation
from harness.sampling.retrying import Nonsense, Patience, Refused, Trouble, failure, pause, retry_after
from harness.sampling.settings import Row, SamplingSettings, ServerSettings
from harness.sampling.wire import Piece, Usage, piece, plain, request_seed, served_models, server_words, without_key

SCANNED = scan("def f():\n")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "error", "usage", "text", "delta", "index", "model", "code", "message"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_any_event_is_read_or_named_as_what_is_wrong(data: str) -> None:
    found: Piece | str
    try:
        found = piece(data)
    except (Trouble, Refused) as error:
        found = error.what
    if isinstance(found, Piece):
        assert isinstance(found.text, str)
        assert found.usage is None or found.usage.prompt_tokens >= 0
    else:
        assert found
        assert found.isprintable()


def test_events_of_both_interfaces() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert piece('{"choices": [{"index": 0, "text": "a", "logprobs": null}]}') == Piece("a")
    assert piece('{"choices": [{"delta": {"role": "assistant", "content": "b"}}], "model": "m"}') == Piece(
        "b", model="m"
    )
    assert piece(json.dumps({"choices": [], "usage": usage})).usage == Usage(prompt_tokens=3, completion_tokens=2)
    assert piece('{"choices": [{"delta": {}, "finish_reason": "stop"}]}') == Piece("", "stop")
    thought = '{"choices": [{"delta": {"reasoning_content": "hm", "content": null}}]}'
    assert piece(thought) == Piece("")


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"index": 1, "text": "a"}]},
        {"choices": [{"text": "a"}, {"text": "b"}]},
        {"choices": [{"text": ["a"]}]},
        {"choices": "a"},
        {},
        {"choices": [], "usage": {"prompt_tokens": -1}},
        {"choices": [], "usage": {"prompt_tokens": True}},
        [1],
    ],
)
def test_events_that_are_none(event: Any) -> None:
    with pytest.raises(Nonsense):
        piece(json.dumps(event))


def test_deeply_nested_json_is_nonsense_and_no_crash() -> None:
    with pytest.raises(Nonsense):
        piece("[" * 200_000)
    assert server_words("[" * 200_000).startswith("[[")


def test_an_error_in_the_stream_passes_unless_it_is_a_refusal() -> None:
    with pytest.raises(Refused, match="too long"):
        piece('{"error": {"message": "too long", "code": 400}}')
    for error in ('{"error": "worker died"}', '{"error": {"message": "busy", "code": 429}}'):
        with pytest.raises(Trouble, match="in the middle"):
            piece(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": {"message": "no such model", "type": "x"}}', "no such model"),
        ('{"error": "overloaded", "error_type": "overloaded"}', "overloaded"),
        ('{"detail": "Not Found"}', "Not Found"),
        ('{"detail": [{"loc": ["body"], "msg": "extra"}]}', '[{"loc": ["body"], "msg": "extra"}]'),
        ("<html>\n Bad   Gateway</html>", "<html> Bad Gateway</html>"),
        ("", ""),
    ],
)
def test_a_servers_words_in_any_shape(body: str, words: str) -> None:
    assert server_words(body) == words


@given(st.text(), st.integers(1, 50))
def test_words_are_one_printable_line(text: str, limit: int) -> None:
    line = plain(text, limit)
    assert line.isprintable()
    assert len(line) <= limit + 1


def test_a_key_is_taken_out_of_words() -> None:
    assert without_key("key sk-12345678 is bad", "sk-12345678") == "key [key] is bad"
    assert without_key("a bad key", "a") == "a bad key", "what is too short to be a key would garble every text"


def test_models_that_a_server_lists() -> None:
    (model,) = served_models(b'{"object": "list", "data": [{"id": "org/m", "max_model_len": 4096, "x": 1}]}')
    assert (model.id, model.max_model_len) == ("org/m", 4096)
    for body in (b"<html>", b"{}", b'{"data": [{"id": ""}]}', b'{"data": [{"id": "m", "max_model_len": "4096"}]}'):
        with pytest.raises(Nonsense):
            served_models(body)


# --- patience ---------------------------------------------------------------------------------------------------


def test_retry_after_as_number_and_date() -> None:
    assert retry_after("7", NOW) == 7
    assert retry_after(format_datetime(NOW + timedelta(seconds=90), usegmt=True), NOW) == 90
    assert retry_after(format_datetime(NOW - timedelta(days=1), usegmt=True), NOW) == 0
    assert [retry_after(value, NOW) for value in (None, "", "soon", "-3", "٣", "1.5e")] == [None] * 6


@given(st.text(max_size=40))
def test_retry_after_of_anything(value: str) -> None:
    found = retry_after(value, NOW)
    assert found is None or found >= 0


@given(st.integers(1, 10_000), st.none() | st.floats(0, 600), st.integers())
def test_pauses_grow_to_a_limit_and_never_fall_below_what_was_asked(
    attempt: int, asked: float | None, seed: int
) -> None:
    patience = Patience(first_pause=0.5, longest_pause=60)
    found = pause(attempt, asked, patience, Random(seed))
    ours = min(60, 0.5 * 2 ** min(attempt - 1, 100))
    assert (asked or 0) + ours / 2 <= found <= (asked or 0) + ours


def test_which_answers_of_http_may_pass() -> None:
    kinds = {
        status: type(failure(status, "", {}, NOW)) for status in (300, 400, 401, 404, 408, 422, 429, 500, 501, 503)
    }
    passing = {status for status, kind in kinds.items() if kind is Trouble}
    assert passing == {408, 429, 500, 503}
    found = failure(429, "slow", {"retry-after": "3"}, NOW)
    assert isinstance(found, Trouble)
    assert (found.retry_after, found.what) == (3, "HTTP 429: slow")


# --- answers ----------------------------------------------------------------------------------------------------


def test_a_server_that_writes_more_than_asked_for_is_not_believed() -> None:
    reading = Continuation(SCANNED)
    with pytest.raises(Nonsense, match="9 tokens"):
        Answer(reading, 8).take(Piece(usage=Usage(prompt_tokens=1, completion_tokens=9)))
    with pytest.raises(Nonsense, match="far longer"):
        Answer(reading, 2).take(Piece("x" * 1025))


@given(
    st.lists(st.sampled_from(["    return", " 1", "\n", "def g", "():", '"""', "`", "x = 1", "# c", " "]), max_size=12)
)
def test_pieces_of_any_size_give_the_text_that_is_cut_as_a_whole(parts: list[str]) -> None:
    """Wherever the stream is cut into pieces, and whenever it is left, the completion is the same."""
    reading = Continuation(SCANNED)
    text = "".join(parts)
    expected, _ = reading.whole(text)
    answer = Answer(reading, 100)
    for part in parts:
        if answer.take(Piece(part)):
            break
    else:
        answer.take(Piece("", "stop"))
    answer.check()
    assert answer.result()[0] == expected


# --- addresses, seeds, settings ---------------------------------------------------------------------------------


def test_addresses() -> None:
    assert [is_address(path) for path in ("http://h/v1", "HTTPS://h", "org/name", "./http:", "smollm2-135m")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert checked("http://localhost:8000/v1/") == "http://localhost:8000/v1"
    assert [is_loopback(f"http://{host}:1/v1") for host in ("localhost", "127.0.0.9", "[::1]", "10.0.0.1", "a.b")] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "address", ["http://user:geheim@h/v1", "https://h/v1?key=geheim", "http://h/v1#geheim", "http://", "http://[geheim"]
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(address)
    assert "geheim" not in str(caught.value)


def test_a_server_has_no_weights_to_train_on() -> None:
    with pytest.raises(UserError, match="weights are needed"):
        resolve_model("http://localhost:8000/v1", SilentReporter())


def test_seeds_are_small_and_differ_by_everything_that_decides() -> None:
    rows = [Row(f"task/{n}", k) for n in range(30) for k in range(100)]
    seeds = [request_seed(1, row) for row in rows]
    assert seeds == [request_seed(1, row) for row in rows]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == len(rows)
    assert Counter(request_seed(2, row) == seed for row, seed in zip(rows, seeds, strict=True)) == {False: 3000}


def test_settings_of_a_server_are_checked_and_decide_nothing_about_other_models() -> None:
    for wrong in ({"concurrency": 0}, {"api": "responses"}):
        with pytest.raises(UserError):
            ServerSettings(**wrong)  # type: ignore[arg-type]
    server = ServerSettings(concurrency=3)
    for path, refused in (("smollm2-135m", True), ("http://h/v1", False)):
        how = Drawing(path, n_seq=1, n_iter=1, temp=0, max_new_tokens=1, batch_size=None, seed=1, server=server)
        if refused:
            with pytest.raises(UserError, match="--concurrency"):
                how.settings()
        else:
            assert how.settings().server == server
    assert Drawing("smollm2-135m", 1, 1, 0.0, 1, None, 1).settings() == SamplingSettings(
        n_seq=1, temperature=0.0, max_new_tokens=1
    )
