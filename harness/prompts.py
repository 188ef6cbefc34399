"""How a problem's prompt is put to a model, in sampling and in training alike. The only place that knows.

The texts made here hold every special token they need, so they are always tokenised by `token_ids`, which adds none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.sampling.function_end import State, scan

PROMPT_FORMAT = 1  # raised whenever `render` gives another text, so that samples of two formats never mix
INSTRUCTION = "Complete this Python function. Write only the code.\n\n```python\n{prompt}\n```"
INDENT = "    "


class Tokenizer(Protocol):
    """What is needed of a transformers tokenizer."""

    chat_template: Any
    bos_token: Any
    bos_token_id: Any

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Mapping[str, Any]: ...

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a model is given: `head + lead`. The completion of the problem is `lead` + what the model writes.

    head: all up to and including the problem's prompt. lead: the start of the completion that is written for the model.
    """

    head: str
    lead: str

    @property
    def text(self) -> str:
        return self.head + self.lead


def render(prompt: str, tokenizer: Tokenizer) -> Context:
    """The context of a prompt: a chat with the answer begun for a model with a chat template, else the bare prompt.

    Line ends are given to the model as `\\n` whatever the prompt has: models have hardly seen others.
    """
    shown = prompt.replace("\r\n", "\n")
    if not tokenizer.chat_template:
        return Context(head=opening_token(tokenizer) + shown, lead="")
    message = {"role": "user", "content": INSTRUCTION.format(prompt=shown.rstrip("\n"))}
    chat = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    return Context(head=f"{chat}```python\n{shown}", lead=lead(prompt))


def lead(prompt: str) -> str:
    """The start of the first line of the body: its indent without the last space, which belongs to the first token.

    Empty where the prompt does not end between two lines of a function, and the model has to go on from there itself.
    """
    state = scan(prompt)
    if not state.in_function or state.depth or state.quote:
        return ""
    code = prompt.rstrip()
    ended = prompt.endswith(("\n", "\r"))
    if not ended and (code != prompt or not code.endswith((":", '"', "'"))):
        return ""
    indent = state.indent + (INDENT if code.endswith(":") or not state.indent else "")
    return ("" if ended else "\n") + indent.removesuffix(" ")


def training_text(prompt: str, completion: str, tokenizer: Tokenizer) -> tuple[str, str]:
    """A completion as (what is given, what is learnt), split where the model takes over in sampling.

    A completion that does not begin with the lead is learnt whole. The end-of-text token is not part of the texts.
    """
    context = render(prompt, tokenizer)
    if completion.startswith(context.lead):
        return context.text, completion[len(context.lead) :]
    return context.head, completion


def token_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """The tokens of a text made here."""
    ids: Sequence[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return list(ids)


def before_completion(prompt: str, context: Context) -> State:
    """Where in the program the model takes over, for `function_end`."""
    return scan(prompt + context.lead)


def opening_token(tokenizer: Tokenizer) -> str:
    """The beginning-of-text token if the tokenizer puts one before plain text."""
    ids: Sequence[int] = tokenizer("x")["input_ids"]
    return str(tokenizer.bos_token) if tokenizer.bos_token_id is not None and ids[0] == tokenizer.bos_token_id else ""
