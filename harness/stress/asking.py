"""Tests that ask solutions for their answers, and tests that expect them. Pure: text in, text out.

The sandbox runs a test in a process that the solution can't reach (docs/adr/0001), so what such a test says in an
AssertionError is the test's own word: one entry an input, a digest of the answer and how long it took to come. Each
input is asked about twice: the shorter time counts, and who answers otherwise the second time has given no answer.

That time is by the wall clock, for a test is not told which process the solution runs in, and so can't read its CPU
time. It ranks inputs, which takes no precision, and is in no figure: what a solution costs is timed afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stress.recorded import Call
from sandbox import Execution, Integrity, Verdict

MARK = "stress answers:"
MOST_INPUTS = 24  # of one test: a message holds 2,000 characters, an entry takes up to 64
# Reasons for which a solution is out of its depth rather than wrong.
LIMITS = frozenset({"RecursionError", "MemoryError", "OverflowError"})

# Equal by == means equal text, as far as tests of that kind can tell values apart: True is 1, 2.0 is 2, floats count to
# six digits. What can't be compared (objects of the solution's own types) has no text.
CANONICAL = """\
from hashlib import sha256 as _sha256
from math import isfinite as _isfinite
from time import perf_counter_ns as _now


def _text(value):
    if isinstance(value, (bool, int)):
        return format(int(value), "x")
    if isinstance(value, float):
        if _isfinite(value) and value == int(value) and abs(value) < 1e15:
            return format(int(value), "x")
        return format(value, ".6g")
    if value is None or isinstance(value, (str, bytes, complex)):
        return ascii(value)
    if isinstance(value, (set, frozenset)):
        return "{" + ",".join(sorted(map(_text, value))) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(_text(key) + ":" + _text(part) for key, part in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        shape = "[]" if isinstance(value, list) else "()"
        return shape[0] + ",".join(map(_text, value)) + shape[1]
    if type(value).__name__ in ("range", "deque", "list_iterator"):
        return type(value).__name__ + _text(list(value))
    raise TypeError(type(value).__name__)


def _digest(value):
    return _sha256(_text(value).encode("utf-8", "surrogatepass")).hexdigest()[:16]


"""
_INPUTS = """\
def _inputs():
    return [
{inputs}
    ]


"""
_ASK = """\
def _asked(candidate, arguments):
    begin = _now()
    try:
        result = candidate(*arguments)
    except Exception as error:
        notes = getattr(error, "__notes__", None)
        return "!" + str(notes[0] if notes else type(error).__name__)[:40].replace(" ", "_"), 0
    took = _now() - begin
    try:
        return _digest({result}), took
    except Exception as error:
        return "?" + type(error).__name__, 0


def check(candidate):
    entries = []
    for first, again in zip(_inputs(), _inputs()):
        answer, took = _asked(candidate, first)
        other, took_again = _asked(candidate, again)
        if answer != other:
            entries.append("?unstable")
        elif answer[0] in "!?":
            entries.append(answer)
        else:
            entries.append(answer + ":" + str(min(took, took_again)))
    raise AssertionError("{mark} " + " ".join(entries))
"""
_EXPECT = """\
def check(candidate):
    for arguments, answer in zip(_inputs(), {answers}):
        assert _digest({result}) == answer
"""
TIMES_ASKED = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """To one input: the digest of the result and ns until it came, or the name of what was raised (`?…`: a result that
    can't be compared, or another one the second time)."""

    digest: str = ""
    ns: int = 0
    raised: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of one solution to all inputs of a test, in order; or why there are none (`stopped`). cpu_ns: of the run."""

    answers: tuple[Answer, ...] = ()
    stopped: str = ""
    cpu_ns: int = 0


def asking_test(inputs: Sequence[Call], wrapper: str = "") -> str:
    """A test that calls the candidate on each input and tells what came back. Raises ValueError for too many inputs."""
    if len(inputs) > MOST_INPUTS:
        raise ValueError(f"{len(inputs)} inputs, a test asks for {MOST_INPUTS} at most")
    result = f"{wrapper}(result)" if wrapper else "result"
    return CANONICAL + _literals(inputs) + _ASK.format(result=result, mark=MARK)


def expecting_test(inputs: Sequence[Call], digests: Sequence[str], wrapper: str = "") -> str:
    """A test that passes exactly for a solution that gives these answers."""
    if len(inputs) != len(digests):
        raise ValueError(f"{len(inputs)} inputs, {len(digests)} answers")
    result = f"{wrapper}(candidate(*arguments))" if wrapper else "candidate(*arguments)"
    return CANONICAL + _literals(inputs) + _EXPECT.format(answers=list(digests), result=result)


def _literals(inputs: Sequence[Call]) -> str:
    return _INPUTS.format(inputs="\n".join(f"        {arguments!r}," for arguments in inputs))


def read_answers(execution: Execution, count: int) -> Answers:
    """What a solution said to an asking test of `count` inputs."""
    told = re.fullmatch(rf"AssertionError: {MARK} (.*)", execution.message)
    if execution.verdict is not Verdict.WRONG or execution.integrity is not Integrity.STRONG or not told:
        why = "weak" if execution.integrity is Integrity.WEAK else str(execution.verdict)
        return Answers(stopped=why, cpu_ns=execution.cpu_ns)
    answers = tuple(map(_answer, told[1].split(" ")))
    if len(answers) != count:
        return Answers(stopped="unreadable", cpu_ns=execution.cpu_ns)
    limits = [answer.raised for answer in answers if answer.raised in LIMITS]
    return Answers(answers, stopped=limits[0] if limits else "", cpu_ns=execution.cpu_ns)


def _answer(entry: str) -> Answer:
    if entry.startswith(("!", "?")):
        return Answer(raised=entry.lstrip("!"))
    digest, _, ns = entry.partition(":")
    return Answer(digest, int(ns))
