"""A completion that is being written, and where it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from harness.prompts import before_completion, render, token_ids
from harness.sampling.function_end import State
from harness.sampling.settings import Row


@dataclass(frozen=True, slots=True)
class Start:
    """Where the rows of one problem begin.

    ids: the context's tokens. before: the program so far, for `function_end`. lead: what the completion begins with.
    """

    ids: list[int]
    before: State
    lead: str

    @classmethod
    def of(cls, prompt: str, tokenizer: Any) -> Start:
        """Where the completions of a problem's prompt begin."""
        context = render(prompt, tokenizer)
        return cls(token_ids(context.text, tokenizer), before_completion(prompt, context), context.lead)

    @property
    def prompt_tokens(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class Live:
    """A row that is being written, or waits to be: all that is needed to go on with it anywhere.

    chance: its own stream of random numbers. ids: the tokens drawn so far.
    """

    row: Row
    start: Start
    chance: Random
    ids: list[int] = field(default_factory=list)
    _number: float | None = None

    @property
    def tokens(self) -> int:
        """Of the context and what is drawn."""
        return len(self.start.ids) + len(self.ids)

    @property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """Equal for rows that go on from the same text."""
        return self.row.task_id, tuple(self.ids)

    @property
    def number(self) -> float:
        """The random number of the next token: the same until a token is appended."""
        if self._number is None:
            self._number = self.chance.random()
        return self._number

    def append(self, token: int) -> None:
        self.ids.append(token)
        self._number = None
