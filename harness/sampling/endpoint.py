"""Completions from a server that speaks OpenAI's interface: vLLM, TGI, llama.cpp, `transformers serve` and others.

Each row is one streamed request with a seed of its own. The stream is closed as soon as the function is over, by the
same rule as for a local model, which no list of stop strings can express; servers stop writing then. What a server
answers is data to be checked (harness.sampling.wire), never followed: no redirects, no compressed bodies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2

from harness.errors import UserError
from harness.progress import Reporter
from harness.records import FinishReason
from harness.sampling.background import handed_out
from harness.sampling.connection import Connection
from harness.sampling.reading import Answer, Asked, prompts_of
from harness.sampling.retrying import Refused, Trouble
from harness.sampling.settings import Row, SamplingSettings, ServerSettings
from harness.sampling.wire import DIALECTS, Dialect, Piece, ServedModel, plain, request_seed
from harness.sampling.written import Written

_PATHS = {"completions": "completions", "chat": "chat/completions"}
_PROBE = 'def identity(x):\n    """Return x."""\n'
_NAMED = 10  # models of a server that an error lists
_NOT_HERE, _NOT_SO = (404, 405, 501), (400, 422)


@dataclass(frozen=True, slots=True)
class _Way:
    """How this server is asked, found out by asking. lead: who begins the answer, see docs/sampling.md."""

    api: str
    lead: str
    dialect: Dialect
    prompt_tokens: int | None  # of _PROBE, as the server counts them


class EndpointSampler:
    """A model behind an address, asked `server.concurrency` completions at a time.

    name: of the model there. tokenizer: the model's, or None. recorded: as in `Origin.open`. Finds out how the server
    wants to be asked; raises UserError if it can't be reached or refuses, or if the rows that are there were asked for
    in another way.
    """

    def __init__(
        self,
        address: str,
        name: str,
        server: ServerSettings,
        tokenizer: Any,
        reporter: Reporter,
        recorded: Mapping[str, Any],
    ) -> None:
        self._connection = Connection(address, server, reporter)
        self._address, self._name, self._server, self._tokenizer = address, name, server, tokenizer
        self._reporter = reporter
        self._seen: dict[str, set[str]] = {"reported_models": set(), "reported_fingerprints": set()}
        ((self._way, self._listed),) = handed_out(self._look)
        if tokenizer is None and self._way.api == "completions":
            reporter.say(f"{name} is given bare prompts; --tokenizer gives it those of a local model")
        self._compare_counts()
        self._compare_ways(recorded.get("server", {}))

    @property
    def context_limit(self) -> int | None:
        return self._listed.max_model_len if self._listed else None

    def start(self, prompt: str) -> Asked:
        return prompts_of(prompt, self._tokenizer, self._way.api, self._way.lead)

    def write(
        self, rows: Sequence[Row], starts: Mapping[str, Asked], settings: SamplingSettings
    ) -> Generator[Written, None, None]:
        """Draw one completion per row, each given out as soon as it is done. starts: by task_id."""
        return handed_out(partial(self._write, rows, starts, settings))

    def facts(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """For the manifest. What the server says of itself is collected over sessions."""
        before = recorded.get("server", {})
        said = {kind: sorted({*before.get(kind, ()), *seen}) for kind, seen in self._seen.items()}
        return {
            "server": {
                "url": self._address,
                "served_model": self._name,
                **said,
                "api": self._way.api,
                "lead": self._way.lead,
                "dialect": self._way.dialect.kind,
                "tokenizer": self._server.tokenizer,
                "concurrency": self._server.concurrency,
                "troubles": before.get("troubles", 0) + self._connection.troubles,
                "reproducible": "as far as the server is: it draws, from a seed for each row",
            }
        }

    # --- how is it asked? ---------------------------------------------------------------------------------------

    async def _look(self, put: Callable[[tuple[_Way, ServedModel | None]], None]) -> None:
        async with self._connection.client() as client:
            listed = await self._connection.listed(client)
            apis = ("completions", "chat") if self._server.api == "auto" else (self._server.api,)
            refusal: Refused | None = None
            for api in apis:
                for lead in _leads(api, self._tokenizer):
                    found = await self._way_of(client, api, lead)
                    if isinstance(found, _Way):
                        put((found, next((model for model in listed or () if model.id == self._name), None)))
                        return
                    refusal = found or refusal
        names = ", ".join(plain(model.id, 80) for model in (listed or ())[:_NAMED])
        fix = f"it serves: {names}" if names else "give what it serves with --served_model, and a URL that ends in /v1"
        what = refusal.what if refusal else "it takes neither completions nor chats as asked"
        raise UserError(what, where=f"--model_path {self._address}", fix=fix)

    async def _way_of(self, client: httpx2.AsyncClient, api: str, lead: str) -> _Way | Refused | None:
        """The first dialect that is understood; the last refusal, or None if the lead is not taken up."""
        asked = prompts_of(_PROBE, self._tokenizer, api, lead)
        refusal: Refused | None = None
        for dialect in DIALECTS:
            body = {"model": self._name, **asked.content, **dialect.fields(0.0, 1), "seed": 1}
            try:
                answer = await self._connection.persist(
                    partial(self._answer, client, api, body, asked, 1), f"probe:{api}"
                )
            except Refused as error:
                refusal = error
                if error.status in _NOT_HERE:
                    break
                if error.status not in _NOT_SO:
                    raise self._connection.refused(error) from error
                continue
            counted = answer.usage.prompt_tokens if answer.usage else None
            if lead == "prefilled" and counted != asked.prompt_tokens:
                return None
            return _Way(api, lead, dialect, counted)
        return refusal

    def _compare_counts(self) -> None:
        ours, theirs = self.start(_PROBE).prompt_tokens, self._way.prompt_tokens
        if self._way.lead != "extracted" and None not in (ours, theirs) and ours != theirs:
            self._reporter.warn(
                f"the server counts {theirs} tokens in a prompt that has {ours} here: is {self._server.tokenizer} the "
                "tokenizer of the model that it serves?"
            )

    def _compare_ways(self, before: Mapping[str, Any]) -> None:
        """Rows of two ways are never mixed: prompts or distributions may differ."""
        now = {"api": self._way.api, "lead": self._way.lead, "dialect": self._way.dialect.kind}
        changed = (key for key, way in now.items() if before.get(key, way) != way)
        if differing := [f"{key}: {before[key]} there, {now[key]} now" for key in changed]:
            raise UserError(
                f"the samples that are there were asked for in another way ({', '.join(differing)})",
                where=f"--model_path {self._address}",
                fix="use the same kind of server, another --save_path, or --overwrite",
            )

    # --- drawing ------------------------------------------------------------------------------------------------

    async def _write(
        self,
        rows: Sequence[Row],
        starts: Mapping[str, Asked],
        settings: SamplingSettings,
        put: Callable[[Written], None],
    ) -> None:
        waiting = iter(rows)

        async def work(client: httpx2.AsyncClient) -> None:
            for row in waiting:
                put(await self._row(client, row, starts[row.task_id], settings))

        async with self._connection.client() as client, asyncio.TaskGroup() as group:
            for _ in range(min(self._server.concurrency, len(rows))):
                group.create_task(work(client))

    async def _row(self, client: httpx2.AsyncClient, row: Row, asked: Asked, settings: SamplingSettings) -> Written:
        limit = settings.max_new_tokens
        drawn = self._way.dialect.fields(settings.effective_temperature, limit)
        body = {"model": self._name, **asked.content, **drawn, "seed": request_seed(settings.seed, row)}
        attempt = partial(self._answer, client, self._way.api, body, asked, limit)
        try:
            answer = await self._connection.persist(attempt, f"retry:{settings.seed}:{row}")
        except Refused as error:
            raise self._connection.refused(error, f" (problem {row.task_id})") from error
        text, reason = answer.result()
        return Written(row, text, reason, self._tokens(answer, reason, limit))

    def _tokens(self, answer: Answer, reason: FinishReason, limit: int) -> int | None:
        """The server's count if the answer came to its own end, else ours; None without a tokenizer."""
        if self._tokenizer is None:
            return None
        if answer.usage is not None:
            return answer.usage.completion_tokens
        if reason is FinishReason.LENGTH:
            return limit
        return answer.counted(self._tokenizer) + (reason is FinishReason.EOS)

    def _hear(self, part: Piece) -> None:
        for kind, value in (("reported_models", part.model), ("reported_fingerprints", part.fingerprint)):
            if value and len(self._seen[kind]) < _NAMED:
                self._seen[kind].add(plain(value))

    async def _answer(
        self, client: httpx2.AsyncClient, api: str, body: Mapping[str, Any], asked: Asked, limit: int
    ) -> Answer:
        """One try of one completion, read until it is over."""
        answer = Answer(asked.reading, limit)
        try:
            async with self._connection.stream(client, _PATHS[api], body) as pieces:
                async for part in pieces:
                    self._hear(part)
                    if answer.take(part):
                        break
        except Trouble:
            if not answer.ended:  # else what is missing is the count of tokens
                raise
        answer.check()
        return answer


def only_model(address: str, server: ServerSettings, reporter: Reporter) -> str:
    """The name of the one model that a server serves. Raises UserError where there are more, or it does not say."""
    connection = Connection(address, server, reporter)

    async def ask(put: Callable[[list[ServedModel]], None]) -> None:
        async with connection.client() as client:
            put(await connection.listed(client) or [])

    (models,) = handed_out(ask)
    if len(models) != 1:
        names = ", ".join(plain(model.id, 80) for model in models[:_NAMED])
        what = f"which model? It serves {names}" if names else "it does not say what it serves"
        raise UserError(what, where=f"--model_path {address}", fix="name one: --served_model NAME")
    return models[0].id


def _leads(api: str, tokenizer: Any) -> tuple[str, ...]:
    if api == "completions":
        return ("given",)
    # Whether a server goes on from a begun answer is seen only by the tokens that it counts.
    return ("prefilled", "extracted") if tokenizer is not None and tokenizer.chat_template else ("extracted",)
