"""Prompts: the program stays what it was, and training splits a completion where sampling takes over."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.prompts import before_completion, lead, render, token_ids, training_text
from harness.sampling.function_end import function_end


class CharTokenizer:
    """A whole tokenizer of single characters: `<` opens a text if `opens`; chats are rendered if `chats`."""

    bos_token, bos_token_id = "<", ord("<")

    def __init__(self, *, chats: bool = False, opens: bool = False) -> None:
        self.chat_template = "template" if chats else None
        self.opens = opens

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Mapping[str, Any]:
        return {"input_ids": [ord(mark) for mark in ("<" if self.opens and add_special_tokens else "") + text]}

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        assert add_generation_prompt
        return "<" + "".join(f"{turn['role']}: {turn['content']}\n" for turn in conversation) + "assistant: "


CHAT, PLAIN, OPENING = CharTokenizer(chats=True, opens=True), CharTokenizer(), CharTokenizer(opens=True)
PROMPT = 'def f(x):\n    """Doc."""\n'


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (PROMPT, "   "),
        (PROMPT.replace("\n", "\r\n"), "   "),
        (PROMPT.rstrip("\n"), "\n   "),
        ("def f(x):", "\n   "),
        ("def f(x):\n", "   "),
        ("def f(x):\n  'Doc.'\n", " "),
        ("def f(x):\n\t'Doc.'\n", "\t"),
        ("def f(\n  a,\n  b,\n) -> int:\n", "   "),
        ("import a\n\n@a.b\ndef f():\n    # note\n", "   "),
        ("class A:\n    def f(self):\n        'Doc.'\n", "       "),
        ("def f(x):\n    if x:\n", "       "),
        ("def f(x):\n    return ", ""),
        ("def f(x):\n    y = x +", ""),
        ("def f(x):\n    '''Doc\n", ""),
        ("def f(x):\n    y = [\n", ""),
        ("def f(x):\n    'Doc.'\n    ", ""),
        ("# Write f.\n", ""),
        ("", ""),
    ],
)
def test_lead(prompt: str, expected: str) -> None:
    assert lead(prompt) == expected


def test_lead_and_a_first_token_with_its_space_make_a_program() -> None:
    for prompt in (PROMPT, "def f(x):", "class A:\n    def f(self):\n        'Doc.'\n", "def f(x):\n  'Doc.'"):
        ast.parse(prompt + lead(prompt) + " return 1")


def test_chat_model_is_given_the_prompt_as_the_start_of_its_answer() -> None:
    context = render(PROMPT, CHAT)
    assert context.head.endswith("assistant: ```python\n" + PROMPT)
    assert context.head.startswith("<user: ")
    assert context.head.count(PROMPT.rstrip("\n")) == 2
    assert context.lead == "   "
    assert context.text == context.head + context.lead


def test_plain_model_is_given_the_prompt_alone() -> None:
    assert render(PROMPT, PLAIN).text == PROMPT
    assert render(PROMPT, OPENING).text == "<" + PROMPT
    assert token_ids(render(PROMPT, OPENING).text, OPENING) == [ord(mark) for mark in "<" + PROMPT]


def test_braces_in_a_prompt_are_text() -> None:
    prompt = "def f(x):\n    return {x!r} or {0}['{']\n"
    assert prompt in render(prompt, CHAT).head


def test_line_ends_are_shown_to_the_model_as_newlines() -> None:
    assert "\r" not in render(PROMPT.replace("\n", "\r\n"), CHAT).text
    assert "\r" not in render(PROMPT.replace("\n", "\r\n"), PLAIN).text


@given(st.sampled_from([CHAT, PLAIN, OPENING]), st.sampled_from([PROMPT, "def f(x):", "# f\n"]), st.text())
def test_training_learns_what_sampling_left_to_the_model(tokenizer: CharTokenizer, prompt: str, written: str) -> None:
    context = render(prompt, tokenizer)
    assert training_text(prompt, context.lead + written, tokenizer) == (context.text, written)


def test_training_learns_a_completion_with_another_start_whole() -> None:
    assert training_text(PROMPT, "\treturn x", CHAT) == (render(PROMPT, CHAT).head, "\treturn x")


def test_function_end_goes_on_from_the_lead() -> None:
    for tokenizer, written in ((CHAT, " return x\n"), (PLAIN, "    return x\n")):
        before = before_completion(PROMPT, render(PROMPT, tokenizer))
        assert function_end(written + "f(1)", before) == len(written)
