"""From what a chat model answers to what follows the problem's prompt.

For servers that take a chat only and write the answer's beginning themselves. A completion is what makes the program
together with the prompt, character for character, so an answer that repeats the function has to be fitted to it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from harness.prompts import INDENT, lead
from harness.sampling.function_end import function_end, scan

_FENCE = re.compile(r"^[ \t]*```[^\n`]*$", re.MULTILINE)
_DEF = re.compile(r"^(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_THOUGHT_END, TAB = "</think>", "\t"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code in an answer. closed: the fence after it has been written."""

    code: str
    closed: bool


def code_block(answer: str, name: str | None) -> Block:
    """The code of an answer: its first block that defines `name`, else its first, else all of it.

    Where a model thinks aloud first (<think>), blocks in there are none of the answer's.
    """
    answer = _spoken(answer)
    found = _blocks(answer)
    for block in found:
        if name is not None and name in _DEF.findall(block.code):
            return block
    return found[0] if found else Block(answer, closed=False)


def answered(answer: str, prompt: str) -> str | None:
    """The completion, as soon as the answer has a closed block that defines the prompt's function; None before."""
    name = defined(prompt)
    block = code_block(answer, name)
    if block.closed and name in _DEF.findall(block.code):
        return completion(block.code, prompt)
    return None


def defined(prompt: str) -> str | None:
    """The function that a prompt ends in: its last one at column 0."""
    return names[-1] if (names := _DEF.findall(_lines(prompt))) else None


def completion(code: str, prompt: str) -> str:
    """What follows the prompt so that the program does what `code` does.

    The rest of a code that begins with the prompt; the body of a code that is the prompt's function and needs nothing
    that the prompt lacks; a code without that function as it is (a body). Any other code defines its function after
    the prompt's own, which is given `pass` for a body.
    """
    shown, code, name = _lines(prompt), _lines(code), defined(prompt)
    if code.startswith(shown) and (shown.endswith("\n") or code[len(shown) : len(shown) + 1] in ("", "\n")):
        rest = code[len(shown) :]
        return rest[: function_end(rest, scan(shown), final=True)]
    if name not in _DEF.findall(code):
        return code if shown.endswith("\n") else "\n" + code
    body = _body(code, shown, str(name))
    if body is not None:
        return body if shown.endswith("\n") else "\n" + body
    begin = lead(prompt)
    ended = "" if shown.endswith("\n") else "\n"
    closing = f"{begin}{'' if begin.endswith(TAB) else ' '}pass\n" if begin else ended
    return f"{closing}\n\n{code}"


def _body(code: str, shown: str, name: str) -> str | None:
    """The body of the function in `code`, docstring apart, if it says the same after the prompt; None otherwise."""
    try:
        whole, begun = ast.parse(code), ast.parse(f"{shown}\n{INDENT}pass\n")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    wanted, found = begun.body[-1], [node for node in whole.body if getattr(node, "name", None) == name]
    function = found[-1]
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or not isinstance(wanted, type(function)):
        return None
    there = {ast.dump(node) for node in begun.body}
    others = [node for node in whole.body if node is not function and not _only_shows(node)]
    if any(ast.dump(node) not in there for node in others) or function.decorator_list:
        return None
    if ast.dump(function.args) != ast.dump(wanted.args):
        return None
    first = 1 if ast.get_docstring(function, clean=False) is not None else 0
    statements = function.body[first:]
    lines = code.split("\n")
    if not statements or lines[statements[0].lineno - 1][: statements[0].col_offset] != INDENT:
        return None
    before = function.body[0].end_lineno if first else _first_line(statements[0]) - 1
    return "\n".join(lines[before : statements[-1].end_lineno]) + "\n"


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _only_shows(node: ast.stmt) -> bool:
    """Whether a statement beside the function is a use of it, which the function itself does without."""
    main = isinstance(node, ast.If) and "__name__" in ast.dump(node.test)
    return main or isinstance(node, ast.Expr | ast.Assert)


def _blocks(answer: str) -> list[Block]:
    fences = list(_FENCE.finditer(answer))
    blocks = []
    for number in range(0, len(fences), 2):
        start = fences[number].end() + 1
        closed = number + 1 < len(fences)
        blocks.append(Block(answer[start : fences[number + 1].start()] if closed else answer[start:], closed))
    return blocks


def _spoken(answer: str) -> str:
    """The answer without what was thought before it; nothing while the thought goes on."""
    if not answer.lstrip().startswith("<think>"):
        return _lines(answer)
    _, _, spoken = _lines(answer).partition(_THOUGHT_END)
    return spoken


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
