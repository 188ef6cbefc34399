"""The bytes between host and warden: our frames inside the engine's attach stream. Pure; nothing in it is trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.types import MIB

MAX_ANSWER_BYTES = 16 * MIB
LOG_BYTES = 4_000
_ENGINE_HEADER = 8  # stream number, three zeros, length (big-endian)
_STDOUT = 1


class StreamError(Exception):
    """The container said something that no warden says."""


def frame(request: Mapping[str, Any]) -> bytes:
    """A request as the warden reads it: JSON behind its length."""
    payload = json.dumps(request).encode("ascii")
    return len(payload).to_bytes(4, "big") + payload


class EngineStream:
    """Takes the engine's multiplexed stream apart: answers from stdout, the last words from stderr."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._stdout = bytearray()
        self._log = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The answers that are complete with this data. Raises StreamError."""
        self._raw += data
        start = 0
        while len(self._raw) - start >= _ENGINE_HEADER:
            end = start + _ENGINE_HEADER + int.from_bytes(self._raw[start + 4 : start + 8], "big")
            if len(self._raw) < end:
                break
            body = self._raw[start + _ENGINE_HEADER : end]
            if self._raw[start] == _STDOUT:
                self._stdout += body
            else:
                self._log = (self._log + bytes(body))[-LOG_BYTES:]
            start = end
        del self._raw[:start]
        return self._answers()

    def _answers(self) -> list[dict[str, Any]]:
        answers, start = [], 0
        while len(self._stdout) - start >= 4:
            end = start + 4 + int.from_bytes(self._stdout[start : start + 4], "big")
            if end - start > MAX_ANSWER_BYTES:
                raise StreamError(f"announced an answer of {end - start} bytes")
            if len(self._stdout) < end:
                break
            try:
                answer = json.loads(self._stdout[start + 4 : end])
            except (ValueError, RecursionError) as error:
                raise StreamError("sent something that is not JSON") from error
            if not isinstance(answer, dict):
                raise StreamError("sent something that is not an answer")
            answers.append(answer)
            start = end
        del self._stdout[:start]
        return answers

    def last_words(self) -> str:
        """What the container wrote to stderr, for an error message; untrusted."""
        return f"; its last words: {self._log.decode('utf-8', 'replace')[-600:]}" if self._log else ""
