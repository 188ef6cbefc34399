"""HTTP to a server: checked, bounded, patient, and with the key for nobody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

import httpx2

from harness.errors import UserError
from harness.progress import Reporter
from harness.sampling.address import is_loopback
from harness.sampling.retrying import Nonsense, Refused, Trouble, failure, persistently
from harness.sampling.settings import ServerSettings
from harness.sampling.wire import Piece, ServedModel, piece, plain, served_models, server_words, without_key

Result = TypeVar("Result")

_ERROR_BYTES, _LIST_BYTES = 65_536, 4_194_304  # that are read of an error, of the list of models
_FIRST_TRIES = 3  # before the server has answered once: the address may simply be wrong
_DONE = "[DONE]"
_UNAUTHORISED = (401, 403)


class Connection:
    """What is needed to ask one server. address: as harness.sampling.address.checked gives it.

    troubles: failures that were tried again. Raises UserError for a key that is not in the environment.
    """

    def __init__(self, address: str, server: ServerSettings, reporter: Reporter) -> None:
        self._address, self._reporter, self._server = address, reporter, server
        self._key = api_key(server.api_key_env)
        if self._key and address.lower().startswith("http://") and not is_loopback(address):
            reporter.warn(f"the key from {server.api_key_env} goes to {address} unencrypted: is that network trusted?")
        self.troubles = 0
        self._told: set[str] = set()
        self._reached = False

    def client(self) -> httpx2.AsyncClient:
        """To be used as a context. Follows no redirect, so that the key goes nowhere else; asks for plain bodies."""
        headers = {"accept-encoding": "identity", "user-agent": "code-optimise"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        connections = self._server.concurrency
        return httpx2.AsyncClient(
            headers=headers,
            follow_redirects=False,
            trust_env=not is_loopback(self._address),
            timeout=httpx2.Timeout(None, connect=self._server.patience.connect),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def persist(self, work: Callable[[], Awaitable[Result]], key: str) -> Result:
        """`work`, tried as often as patience allows. key: of the pauses' random part. Raises UserError and Refused."""
        patience = self._server.patience
        if not self._reached:
            patience = replace(patience, attempts=min(patience.attempts, _FIRST_TRIES))
        where = f"--model_path {self._address}"
        chance = Random(key)  # noqa: S311  (not for secrets)
        return await persistently(work, patience, chance, where=where, wait=asyncio.sleep, tell=self._tell)

    async def listed(self, client: httpx2.AsyncClient) -> list[ServedModel] | None:
        """What the server says it serves; None where it has no such list. Raises UserError."""
        try:
            return await self.persist(lambda: self._list(client), "models")
        except Refused as error:
            if error.status == _UNAUTHORISED[0]:
                raise self.refused(error) from error
            return None

    async def _list(self, client: httpx2.AsyncClient) -> list[ServedModel]:
        async with self._asked(client, "GET", "models", None) as response:
            try:
                return served_models(await _body(response, _LIST_BYTES))
            except Nonsense:
                return []  # the list is a help, and completions may be in order all the same

    @asynccontextmanager
    async def stream(
        self, client: httpx2.AsyncClient, path: str, body: Mapping[str, Any]
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        """The events of a streamed answer. Left early, the connection is closed, which tells the server to stop.

        Raises Trouble, Nonsense, Refused, here and from the events.
        """
        sent = {**body, "stream": True, "stream_options": {"include_usage": True}}
        async with self._asked(client, "POST", path, sent) as response, aclosing(self._pieces(response)) as pieces:
            yield pieces

    async def _pieces(self, response: httpx2.Response) -> AsyncGenerator[Piece, None]:
        patience = self._server.patience
        events = aiter(httpx2.EventSource(response))
        allowed = patience.first_event
        while True:
            try:
                async with asyncio.timeout(allowed):
                    event = await anext(events, None)
            except TimeoutError as error:
                raise Trouble(f"nothing came for {allowed:g} s") from error
            except httpx2.SSEError as error:
                raise Nonsense(f"not a stream of events: {plain(str(error))}") from error
            except httpx2.TransportError as error:
                raise Trouble(f"the stream broke off: {_in_words(error)}") from error
            if event is None or event.data == _DONE:
                return
            allowed = patience.next_event
            yield piece(without_key(event.data, self._key))

    @asynccontextmanager
    async def _asked(
        self, client: httpx2.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None
    ) -> AsyncIterator[httpx2.Response]:
        """An answer that is 200. Raises Trouble, Nonsense or Refused for any other, and for none."""
        request = client.build_request(method, f"{self._address}/{path}", json=body)
        try:
            async with asyncio.timeout(self._server.patience.first_event):
                response = await client.send(request, stream=True)
        except TimeoutError as error:
            raise Trouble(f"no answer in {self._server.patience.first_event:g} s") from error
        except httpx2.TransportError as error:
            raise Trouble(f"can't reach the server: {_in_words(error)}") from error
        try:
            self._reached = True
            if response.is_redirect:
                target = without_key(plain(response.headers.get("location", "elsewhere")), self._key)
                raise Refused(f"the server points to another address, which is not followed: {target}", 300)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise Nonsense("a compressed answer, which was not asked for")
            if response.status_code != 200:
                words = server_words((await _body(response, _ERROR_BYTES)).decode(errors="replace"))
                message = without_key(words, self._key)
                raise failure(response.status_code, message, response.headers, datetime.now(UTC))
            yield response
        finally:
            await response.aclose()

    def refused(self, error: Refused, of: str = "") -> UserError:
        """A refusal as it is shown to people."""
        fix = "see what the server says; the rows written so far stay"
        if error.status in _UNAUTHORISED:
            named = self._server.api_key_env
            fix = f"is the key in {named} the right one?" if named else "name the variable with the key: --api_key_env"
        elif of and error.status in (400, 413, 422):
            fix = "if the prompt is too long, leave the problem out (--task-ids); with --tokenizer that is seen before"
        return UserError(f"{error.what}{of}", where=f"--model_path {self._address}", fix=fix)

    def _tell(self, what: str) -> None:
        self.troubles += 1
        kind = what[:40]
        if kind not in self._told:  # once of each kind: hundreds of requests may meet the same
            self._told.add(kind)
            self._reporter.warn(f"{what}; trying again")


def api_key(variable: str | None) -> str | None:
    """The key in an environment variable. Raises UserError if there is none, or one that can't be sent."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"no key in {variable}", where="--api_key_env", fix=f"export {variable}=…")
    if not (key.isascii() and key.isprintable()):
        raise UserError(f"what is in {variable} can't be a key", where="--api_key_env", fix="only printable ASCII can")
    return key


async def _body(response: httpx2.Response, limit: int) -> bytes:
    """The whole body, or its first `limit` bytes."""
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > limit:
                break
    except httpx2.TransportError as error:
        raise Trouble(f"the answer broke off: {_in_words(error)}") from error
    return body[:limit]


def _in_words(error: Exception) -> str:
    return plain(str(error)) or type(error).__name__
