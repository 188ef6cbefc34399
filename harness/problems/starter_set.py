"""The starter set: 88 small problems written for this project, with reference solutions of different speed.

They are as simple as a 135-million-parameter model can partly solve, so that the whole pipeline runs on a laptop.
Each problem has at least two natural correct solutions, the quick one first. They are for tests and for people who
want to see what a pair looks like; nothing trains on them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from harness.problems.checks import RawRow

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class ReferenceSolution:
    """A correct completion: the program is the problem's prompt followed by `code`."""

    name: str
    code: str


def starter_rows(split: str) -> list[RawRow]:
    """The split's problems as rows with the columns of every other source."""
    return [
        RawRow({**problem, "task_id": problem["id"]}, split, f"starter/{split}.toml: problem {number}")
        for number, problem in enumerate(_problems(split), start=1)
    ]


def starter_solutions() -> dict[str, list[ReferenceSolution]]:
    """Reference solutions of every starter problem by task id, the quick one first."""
    return {
        problem["id"]: [ReferenceSolution(solution["name"], solution["code"]) for solution in problem["solutions"]]
        for split in SPLITS
        for problem in _problems(split)
    }


def _problems(split: str) -> Iterator[dict[str, Any]]:
    file = resources.files("harness.problems").joinpath("starter", f"{split}.toml")
    yield from tomllib.loads(file.read_text(encoding="utf-8"))["problem"]
