"""The same solution in other words: local variables renamed, comments and blank lines added. Pure.

Such programs have one normalised syntax tree (harness.timing.solution_id), so whatever a timing method finds between
them is an error of the method.
"""

from __future__ import annotations

import io
import keyword
import random
import tokenize

from harness.timing.solution_id import solution_id

COMMENTS = (
    "# go on", "# what was asked for is worked out here, step by step, from the arguments that were given",
    "# see the docstring", "# " + "=" * 100,
)  # fmt: skip


def variants(program: str, entry_point: str, count: int, seed: int) -> list[str]:
    """Up to `count` different texts, each with the program's solution id; fewer where the text can't be changed so."""
    wanted = solution_id(program, entry_point)
    found: list[str] = []
    for number in range(4 * count):
        rng = random.Random(f"{seed}:{number}:{program}")
        text = _commented(_renamed(program, wanted, entry_point, rng), rng)
        if text != program and text not in found and solution_id(text, entry_point) == wanted:
            found.append(text)
        if len(found) == count:
            break
    return found


def _renamed(program: str, wanted: str, entry_point: str, rng: random.Random) -> str:
    """Names that can be renamed without another solution id are: those are the local ones."""
    names = sorted({token.string for token in _tokens(program) if token.type == tokenize.NAME})
    for name in names:
        if keyword.iskeyword(name) or len(name) > 30:
            continue
        other = _with_name(program, name, f"{name}_{rng.choice(['x', 'value', 'of_this'])}{rng.randrange(100)}")
        if other != program and solution_id(other, entry_point) == wanted:
            program = other
    return program


def _with_name(program: str, old: str, new: str) -> str:
    lines = program.splitlines(keepends=True)
    places = [token.start for token in _tokens(program) if token.type == tokenize.NAME and token.string == old]
    for row, column in reversed(places):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + new + line[column + len(old) :]
    return "".join(lines)


def _commented(program: str, rng: random.Random) -> str:
    """Comments and blank lines before lines that begin a statement."""
    starts = {token.start[0] for token in _first_tokens(program)}
    lines = []
    for number, line in enumerate(program.splitlines(keepends=True), start=1):
        if number in starts and rng.random() < 0.6:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append("\n" * rng.randrange(3) + indent + rng.choice(COMMENTS) + "\n")
        lines.append(line)
    return "".join(lines)


def _first_tokens(program: str) -> list[tokenize.TokenInfo]:
    found, at_start = [], True
    for token in _tokens(program):
        if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT):
            at_start = at_start or token.type == tokenize.NEWLINE
        elif at_start:
            found.append(token)
            at_start = False
    return found


def _tokens(program: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(program).readline))
    except (tokenize.TokenError, SyntaxError):
        return []
