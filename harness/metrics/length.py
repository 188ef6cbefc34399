"""How long the code is that a model writes, apart from how it is laid out.

Only what the completion added to the prompt is counted, without docstrings and comments and written out again from its
syntax tree: two spellings of one program have one length. Parses untrusted text and never runs it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from dataclasses import dataclass

MAX_CHARACTERS = 200_000  # a longer program is not measured: parsing it could take minutes
_LINE_END = re.compile(r"\r\n|\r|\n")
_LAYOUT = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.COMMENT}
_WITH_DOCSTRING = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class CodeLength:
    """Size of the code that a completion added. `tokens` are Python's lexical tokens, layout left out."""

    characters: int
    tokens: int


def code_length(prompt: str, completion: str) -> CodeLength | None:
    """The length of what `completion` adds to `prompt`; None where the program does not parse."""
    text = added_code(prompt, completion)
    if text is None:
        return None
    try:
        tokens = sum(token.type not in _LAYOUT for token in tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError, RecursionError):
        return None
    return CodeLength(len(text), tokens)


def added_code(prompt: str, completion: str) -> str | None:
    """The statements that begin after the prompt's end, as normalised source; None where the program does not parse."""
    program = prompt + completion
    if len(program) > MAX_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in model text are none of our user's business
            tree = ast.parse(program)
        for node in ast.walk(tree):
            if isinstance(node, _WITH_DOCSTRING):
                _drop_docstring(node)
        return "\n".join(ast.unparse(statement) for statement in _added(tree, _end_of(prompt)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _drop_docstring(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        del node.body[0]


def _end_of(prompt: str) -> tuple[int, int]:
    """Where the prompt ends: line (from 1) and column in UTF-8 bytes, as `ast` counts."""
    lines = _LINE_END.split(prompt)
    return len(lines), len(lines[-1].encode("utf-8", "surrogatepass"))


def _added(node: ast.AST, end: tuple[int, int]) -> list[ast.stmt]:
    """The outermost statements under `node` that begin at or after `end`."""
    added: list[ast.stmt] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            if (child.lineno, child.col_offset) >= end:
                added.append(child)
            elif (child.end_lineno or child.lineno, child.end_col_offset or 0) > end:
                inner = _added(child, end)
                # A simple statement that the prompt began (it ends in "return ") is the completion's as well.
                added.extend(inner if inner or hasattr(child, "body") else [child])
        elif not isinstance(child, ast.expr):
            added.extend(_added(child, end))  # except handlers and match cases hold statements
    return added
