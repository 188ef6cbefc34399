"""What the stage knows of a place where completions come from: a model in this process, or a server."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from harness.records import FinishReason
from harness.sampling.settings import Row, SamplingSettings


@dataclass(frozen=True, slots=True)
class Written:
    """What came of one row. `text` follows the context; `tokens` counts all that were drawn, those cut off included.

    tokens: None where a server draws and there is no tokenizer to count with.
    ids: the tokens that make up `text`, an end-of-text token that was drawn included. Where a token reaches over the
    end of the function, the ids stop before it. Empty where a server draws.
    """

    row: Row
    text: str
    finish_reason: FinishReason
    tokens: int | None
    ids: tuple[int, ...] = ()


class Begun(Protocol):
    """Where the completions of one problem begin."""

    @property
    def lead(self) -> str:
        """What the completion begins with, before what is written."""

    @property
    def prompt_tokens(self) -> int | None:
        """Length of the context, None if it can't be counted."""

    @property
    def size(self) -> int:
        """What contexts are ordered by: tokens, or characters where tokens can't be counted."""


StartT = TypeVar("StartT", bound=Begun)


class Backend(Protocol[StartT]):
    """Something that completions are drawn with."""

    @property
    def context_limit(self) -> int | None:
        """Tokens of prompt and completion together that the model can take, if it says."""

    def start(self, prompt: str) -> StartT: ...

    def write(
        self, rows: Sequence[Row], starts: Mapping[str, StartT], settings: SamplingSettings
    ) -> Generator[Written, None, None]:
        """One completion per row, given out as soon as it is done. Closed, it draws no more. starts: by task_id.

        How many are written at a time, and when which row's turn is, it decides itself; those that come first in `rows`
        come first.
        """

    def facts(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """For the manifest. recorded: as in `Origin.open`."""


class Origin(Protocol):
    """A model by name, before it is loaded or asked."""

    @property
    def name(self) -> str:
        """What its rows are called unless a name is given."""

    def recorded(self) -> dict[str, Any]:
        """What decides a sample beside how it is drawn: rows of two of these are never mixed."""

    def open(self, recorded: Mapping[str, Any]) -> Backend[Any]:
        """recorded: what the manifest has of earlier sessions whose rows are there."""
