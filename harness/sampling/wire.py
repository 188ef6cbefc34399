"""What an OpenAI-compatible server is sent and how its answers are read. Pure; believes nothing without a check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from harness.sampling.retrying import Nonsense, Refused, Trouble
from harness.sampling.settings import Row

CHARACTERS_PER_TOKEN = 512  # more than any token of a known vocabulary has, runs of blanks included
_SHOWN = 300  # characters of the server's words that people are shown
_HIDDEN = 8  # a shorter key is not looked for in what a server says


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server is told to draw from the whole distribution. kind says which fields, beside the standard ones."""

    kind: Literal["explicit", "explicit_-1", "transformers", "standard", "completion_tokens", "bare"]

    def fields(self, temperature: float, max_tokens: int) -> dict[str, Any]:
        """The fields of a request that decide about one completion, `seed` apart."""
        common: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
        if self.kind in ("explicit", "explicit_-1"):
            # vLLM takes what it isn't told from the model's generation_config.json, llama.cpp has top_k 40 and
            # min_p 0.05. "Off" for top_k is 0 or -1, and older versions take one of them only.
            top_k = 0 if self.kind == "explicit" else -1
            penalties = {"repetition_penalty": 1.0, "repeat_penalty": 1.0}
            return {**common, "top_p": 1.0, "top_k": top_k, "min_p": 0.0, **penalties}
        if self.kind == "transformers":
            # `transformers serve` ignores the temperature of a model whose own settings don't say do_sample.
            drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
            chosen = {**(drawn if temperature else {"do_sample": False}), "max_new_tokens": max_tokens}
            return {**common, "generation_config": json.dumps(chosen)}
        if self.kind == "completion_tokens":
            return {"temperature": temperature, "top_p": 1.0, "max_completion_tokens": max_tokens}
        return common if self.kind == "bare" else {**common, "top_p": 1.0}


# In the order in which they are tried: the first that the server takes is used.
DIALECTS = tuple(
    Dialect(kind) for kind in ("explicit", "explicit_-1", "transformers", "standard", "completion_tokens", "bare")
)


def request_seed(seed: int, row: Row) -> int:
    """The seed that a server is given for a row, below 2³¹: from these alone, so a run that goes on asks the same."""
    digest = hashlib.sha256(f"served:{seed}:{row.sample_id}:{row.task_id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


# --- answers ----------------------------------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class Usage(_Strict):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _Delta(_Strict):
    content: str | None = None


class _Choice(_Strict):
    index: int = 0
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Event(_Strict):
    choices: list[_Choice]
    usage: Usage | None = None
    model: str | None = None
    system_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One event of a stream. finish: why the model stopped, in the last but one or last."""

    text: str = ""
    finish: str | None = None
    usage: Usage | None = None
    model: str | None = None
    fingerprint: str | None = None


def piece(data: str) -> Piece:
    """An event's data, of /completions or /chat/completions. Raises Nonsense, Trouble, Refused."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"the stream has something that is not JSON: {plain(data)!r}") from error
    if not isinstance(value, dict):
        raise Nonsense(f"the stream has something that is not an event: {plain(data)!r}")
    if value.get("error") is not None:
        raise _error(value)
    try:
        event = _Event.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Nonsense(f"an event that is not as it should be: {place}: {plain(first['msg'])}") from error
    if len(event.choices) > 1 or any(choice.index != 0 for choice in event.choices):
        raise Nonsense("an event of several answers, one was asked for")
    if not event.choices:
        return Piece(usage=event.usage, model=event.model, fingerprint=event.system_fingerprint)
    (choice,) = event.choices
    text = choice.text or (choice.delta.content if choice.delta else None) or ""
    return Piece(text, choice.finish_reason, event.usage, event.model, event.system_fingerprint)


def _error(value: Mapping[str, Any]) -> Trouble | Refused:
    """An error that came in the stream, after an answer that began well."""
    message = server_words(json.dumps(value))
    error = value["error"]
    status = error.get("code", error.get("status")) if isinstance(error, dict) else None
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429):
        return Refused(message, status)
    return Trouble(f"an error in the middle of the answer: {message}")


class ServedModel(_Strict):
    """One entry of /models. max_model_len: vLLM's limit of prompt and completion together."""

    id: str = Field(min_length=1, max_length=500)
    max_model_len: int | None = Field(default=None, gt=0)


class _Models(_Strict):
    data: list[ServedModel] = Field(max_length=100_000)


def served_models(body: bytes) -> list[ServedModel]:
    """What /models lists. Raises Nonsense."""
    try:
        return TypeAdapter(_Models).validate_json(body).data
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Nonsense(f"the list of models is not as it should be: {plain(first['msg'])}") from error


def server_words(body: str) -> str:
    """The message in the body of an error, whatever shape it has."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return plain(body)
    for _ in range(3):  # {"error": {"message": …}}, {"error": …}, {"detail": …}, {"message": …}
        if not isinstance(value, dict):
            break
        value = next((value[key] for key in ("error", "message", "detail") if value.get(key)), json.dumps(value))
    return plain(value if isinstance(value, str) else json.dumps(value))


def plain(text: str, limit: int = _SHOWN) -> str:
    """A server's words for a terminal and a log: one line, printable, not long."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[:limit] + "…"


def without_key(text: str, key: str | None) -> str:
    """The text with the key taken out, should a server repeat it."""
    return text.replace(key, "[key]") if key and len(key) >= _HIDDEN else text
