"""Hostile programs as data: how one is written down, and how it is read.

A program begins with front matter in TOML, as comments:

    # /// attack
    # line = "endless loop"             the item of the list of attacks that it covers (tests/hostile/lines.txt)
    # expect = ["TIMEOUT_CPU"]          the verdicts that are right
    # task = "double"                   the test it faces (tasks.py); "double" if left out
    # prelude = true                    programs/prelude.py is put before it
    # [proof]                           how one sees that the attack really ran: at least one key (see Proof)
    # output = "attack: .*"
    # [timed]                           only if it is to be timed too (see Timed)
    # expect = "flagged"
    # [runsc]                           only where another runtime really decides something else (see Deviation)
    # expect = ["MEMORY"]
    # ///

The parser is strict: a key it does not know is an error, since a misspelt proof would prove nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from sandbox import Job, SandboxError, Termination, Verdict
from sandbox.conformance.tasks import TASKS, Task

CATEGORIES = ("forging", "timing", "cpu", "memory", "output", "escape")
RUNTIMES = ("runsc",)  # those that a program may name with a table of its own
OPENING, CLOSING = "# /// attack", "# ///"


class AttackError(SandboxError):
    """A hostile program is not written down as it must be."""


class TimedExpectation(StrEnum):
    """What is right to come of timing an attack."""

    FLAGGED = "flagged"  # its timing carries a flag, and so is compared with nobody
    UNTIMED = "untimed"  # there is no timing
    TRUE = "true"  # no flag, and the time is what the work really takes


@dataclass(frozen=True, slots=True)
class Proof:
    """What must be seen if the attack ran. Patterns are searched for; numbers are least values."""

    output: str = ""  # in Execution.output_head
    message: str = ""  # in Execution.message
    termination: Termination | None = None
    min_cpu_ms: int = 0
    min_wall_ms: int = 0
    min_rss_mib: int = 0
    min_output_bytes: int = 0
    min_calls: int = 0


@dataclass(frozen=True, slots=True)
class Timed:
    """`min_ratio`: for "true", the least share of an honest solution's time that is believable."""

    expect: TimedExpectation
    min_ratio: float = 0.5


@dataclass(frozen=True, slots=True)
class Deviation:
    """What another runtime decides differently. `reaches`: REACHED lines that are no escape there (patterns).
    `breaks_container`: it has to, there; the verdict must be right all the same."""

    expect: tuple[Verdict, ...] = ()
    proof: Proof | None = None
    reaches: tuple[str, ...] = ()
    breaks_container: bool = False


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile program and all that is known about it beforehand."""

    name: str  # category/file
    line: str
    program: str
    expect: tuple[Verdict, ...]
    proof: Proof
    task: Task = TASKS["double"]
    timed: Timed | None = None
    reaches: tuple[str, ...] = ()
    breaks_container: bool = False
    deviations: Mapping[str, Deviation] = field(default_factory=dict)

    @property
    def category(self) -> str:
        return self.name.partition("/")[0]

    @property
    def job(self) -> Job:
        return self.task.job(self.program)

    def under(self, runtime: str | None) -> Attack:
        """The attack as it is to be judged under that runtime."""
        deviation = self.deviations.get(runtime or "")
        if deviation is None:
            return self
        return replace(
            self,
            expect=deviation.expect or self.expect,
            proof=deviation.proof or self.proof,
            reaches=deviation.reaches,
            breaks_container=deviation.breaks_container,
        )


# ---- reading ---------------------------------------------------------------------------------------------------------


@cache
def load_attacks() -> tuple[Attack, ...]:
    """All attacks, by category and name."""
    folder = resources.files("sandbox.conformance") / "programs"
    prelude = (folder / "prelude.py").read_text("utf-8")
    return tuple(
        parse(f"{category}/{entry.name.removesuffix('.py')}", entry.read_text("utf-8"), prelude)
        for category in CATEGORIES
        for entry in sorted((folder / category).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".py")
    )


def look_program() -> str:
    """The program that reports what earlier runs have left."""
    return (resources.files("sandbox.conformance") / "programs" / "look.py").read_text("utf-8")


def parse(name: str, text: str, prelude: str = "") -> Attack:
    """An attack from its file. Raises AttackError, saying what is wrong."""
    try:
        table = _Table(tomllib.loads(_front_matter(text)))
        attack = _attack(name, text, table, prelude)
    except (ValueError, re.error) as error:
        raise AttackError(str(error), where=f"attack {name}", fix="see sandbox/conformance/attacks.py") from None
    return attack


def _attack(name: str, text: str, table: _Table, prelude: str) -> Attack:
    if name.partition("/")[0] not in CATEGORIES:
        raise ValueError(f"the category is none of {', '.join(CATEGORIES)}")
    task = table.take("task", str, "double")
    if task not in TASKS:
        raise ValueError(f"task: there is no {task!r}, only {', '.join(TASKS)}")
    attack = Attack(
        name=name,
        line=table.take("line", str),
        expect=_verdicts(table.take("expect", list)),
        program=(prelude if table.take("prelude", bool, False) else "") + text,
        task=TASKS[task],
        proof=_proof(table.table("proof")),
        timed=_timed(table.table("timed")) if "timed" in table else None,
        deviations={runtime: _deviation(table.table(runtime)) for runtime in RUNTIMES if runtime in table},
    )
    table.close()
    return attack


def _front_matter(text: str) -> str:
    lines = iter(text.splitlines())
    if next(lines, "") != OPENING:
        raise ValueError(f"the first line is not {OPENING!r}")
    return "\n".join(_commented(lines))


def _commented(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == CLOSING:
            return
        if line != "#" and not line.startswith("# "):
            break
        yield line[2:]
    raise ValueError(f"the front matter does not end with {CLOSING!r}")


class _Table:
    """A TOML table whose keys are taken one by one, so that those left over are known to be wrong."""

    def __init__(self, values: Any, where: str = "") -> None:
        if not isinstance(values, dict):
            raise ValueError(f"{where}: a table was expected")
        self._values, self._where = dict(values), where

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of `key`; without a default it must be there and not be empty."""
        value = self._values.pop(key, default)
        if value is None or (default is None and value in ("", [])):
            raise ValueError(f"{self._where}{key} is missing")
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ValueError(f"{self._where}{key}: {kind.__name__} was expected, not {value!r}")
        return value

    def table(self, key: str) -> _Table:
        return _Table(self._values.pop(key, {}), f"{key}.")

    def close(self) -> None:
        if self._values:
            raise ValueError(f"unknown: {', '.join(self._where + key for key in sorted(self._values))}")


def _verdicts(names: list[Any]) -> tuple[Verdict, ...]:
    unknown = [name for name in names if name not in Verdict.__members__ or name == Verdict.INTERNAL]
    if unknown:
        raise ValueError(f"expect: {unknown[0]!r} is no verdict that an attack can deserve")
    return tuple(Verdict(name) for name in names)


def _proof(table: _Table) -> Proof:
    found: dict[str, Any] = {}
    for key in fields(Proof):
        if key.name in table:
            found[key.name] = table.take(key.name, int if key.name.startswith("min_") else str)
    table.close()
    if not found:
        raise ValueError("proof is missing: how would one see that the attack ran?")
    for name in ("output", "message"):
        re.compile(found.get(name, ""))
    if "termination" in found:
        found["termination"] = Termination(found["termination"])
    return Proof(**found)


def _timed(table: _Table) -> Timed:
    timed = Timed(TimedExpectation(table.take("expect", str)), table.take("min_ratio", float, 0.5))
    table.close()
    return timed


def _deviation(table: _Table) -> Deviation:
    deviation = Deviation(
        expect=_verdicts(table.take("expect", list, [])),
        proof=_proof(table.table("proof")) if "proof" in table else None,
        reaches=tuple(map(str, table.take("reaches", list, []))),
        breaks_container=table.take("breaks_container", bool, False),
    )
    table.close()
    for pattern in deviation.reaches:
        re.compile(pattern)
    return deviation
