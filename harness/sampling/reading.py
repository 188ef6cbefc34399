"""How a problem is put to a server, and how what it streams becomes a completion. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.prompts import INSTRUCTION, Context, before_completion, lead, render, token_ids
from harness.records import FinishReason
from harness.sampling.chat_answer import answered, code_block, completion, defined
from harness.sampling.function_end import State, function_end
from harness.sampling.retrying import Nonsense, Trouble
from harness.sampling.wire import CHARACTERS_PER_TOKEN, Piece, Usage, plain

_ENDED = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn"})
_CUT_OFF = frozenset({"length", "max_tokens"})
_MARKS = "\n\r`"  # a function or a block of code can be over only at a line's beginning or a fence
_ROOM = 64  # events beyond two a token: roles, usage, signs of life


class Reading(Protocol):
    """How the text of an answer is read."""

    def over(self, text: str) -> str | None:
        """The completion, if it is complete whatever may follow `text`."""

    def whole(self, text: str) -> tuple[str, bool]:
        """The completion in an answer that has come to its end, and whether it ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """An answer that goes on where the prompt and the lead end. before: the state there, for `function_end`."""

    before: State

    def over(self, text: str) -> str | None:
        cut = function_end(text, self.before)
        return None if cut is None else text[:cut]

    def whole(self, text: str) -> tuple[str, bool]:
        cut = function_end(text, self.before, final=True)
        return text[:cut], cut is not None


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An answer to a chat, with the code somewhere in it (harness.sampling.chat_answer)."""

    prompt: str

    def over(self, text: str) -> str | None:
        return answered(text, self.prompt)

    def whole(self, text: str) -> tuple[str, bool]:
        block = code_block(text, defined(self.prompt))
        return completion(block.code, self.prompt), block.closed


@dataclass(frozen=True, slots=True)
class Asked:
    """One problem as a server is given it. content: the fields of a request. prompt_tokens: None without a tokenizer.

    lead: what the completion begins with and the answer does not repeat. size: to order problems by.
    """

    content: dict[str, Any]
    lead: str
    reading: Reading
    prompt_tokens: int | None
    size: int


def prompts_of(prompt: str, tokenizer: Any, api: str, led_by: str) -> Asked:
    """The request of a problem's prompt.

    api "completions", led_by "given": the very text a local model is given, where there is a tokenizer, else the bare
    prompt.
    api "chat", led_by "prefilled": the chat with the answer begun, to be continued by the server; "extracted": the
    chat alone, and the code taken out of the answer.
    """
    shown = prompt.replace("\r\n", "\n")
    context = render(prompt, tokenizer) if tokenizer is not None else Context(shown, "")
    tokens = len(token_ids(context.text, tokenizer)) if tokenizer is not None else None
    size = len(context.text) if tokens is None else tokens
    reading = Continuation(before_completion(prompt, context))
    if api == "completions":
        text = context.text if tokenizer is None else _for_server(context.text, tokenizer)
        return Asked({"prompt": text}, context.lead, reading, tokens, size)
    question = {"role": "user", "content": INSTRUCTION.format(prompt=shown.rstrip("\n"))}
    if led_by == "prefilled":
        begun = {"role": "assistant", "content": f"```python\n{shown}{lead(prompt)}"}
        content = {"messages": [question, begun], "add_generation_prompt": False, "continue_final_message": True}
        return Asked(content, context.lead, reading, tokens, size)
    return Asked({"messages": [question]}, "", ChatAnswer(prompt), None, size)


def _for_server(text: str, tokenizer: Any) -> str:
    """A text made by `render` as a server must be sent it: its tokenizer may put the beginning-of-text token before."""
    bare = text.removeprefix(str(tokenizer.bos_token or ""))
    return bare if list(tokenizer(bare)["input_ids"]) == token_ids(text, tokenizer) else text


@dataclass(slots=True)
class Answer:
    """One streamed answer as far as it has come. limit: tokens that were asked for.

    usage: the server's count, if the answer came to its own end.
    """

    reading: Reading
    limit: int
    usage: Usage | None = None
    _parts: list[str] = field(default_factory=list)
    _finish: str | None = None
    _cut: str | None = None
    _characters: int = 0
    _events: int = 0

    def take(self, piece: Piece) -> bool:
        """Add an event; whether nothing more is needed. Raises Nonsense for more than was asked for."""
        self._events += 1
        self._characters += len(piece.text)
        if self._characters > CHARACTERS_PER_TOKEN * self.limit or self._events > 2 * self.limit + _ROOM:
            raise Nonsense(f"an answer far longer than the {self.limit} tokens that were asked for")
        if piece.usage is not None:
            if piece.usage.completion_tokens > self.limit:
                raise Nonsense(f"{piece.usage.completion_tokens} tokens, where {self.limit} at most were asked for")
            self.usage = piece.usage
        if piece.text:
            self._parts.append(piece.text)
            if any(mark in part for part in self._parts[-2:] for mark in _MARKS):
                self._cut = self.reading.over("".join(self._parts))
        if self._cut is not None:
            self.usage = None  # of a part, if of anything
            return True
        self._finish = piece.finish or self._finish
        return self.ended and self.usage is not None

    @property
    def ended(self) -> bool:
        """Whether the server has said that the answer is complete."""
        return self._finish is not None

    def check(self) -> None:
        """Raises Trouble if the answer is not one: cut short, or ended for a reason that is not the model's."""
        if self._cut is not None:
            return
        if self._finish is None:
            raise Trouble("the stream ended before the answer did")
        if self._finish not in _ENDED | _CUT_OFF:
            raise Trouble(f"the server ended an answer by itself: {plain(self._finish, 60)!r}")

    def result(self) -> tuple[str, FinishReason]:
        """Text and reason of an answer that passed `check`."""
        if self._cut is not None:
            return self._cut, FinishReason.FUNCTION_END
        text, before_end = self.reading.whole("".join(self._parts))
        if before_end:
            return text, FinishReason.FUNCTION_END
        return text, FinishReason.LENGTH if self._finish in _CUT_OFF else FinishReason.EOS

    def counted(self, tokenizer: Any) -> int:
        """Tokens of all that came, as the tokenizer cuts the text up; the model may have cut it up otherwise."""
        return len(token_ids("".join(self._parts), tokenizer))
