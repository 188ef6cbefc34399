"""Which shard a problem belongs to, and what a shard's folder is called. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from harness.errors import UserError
from harness.records import Problem

SHARDS = "shards"  # the folder of all of them, below the experiment's
MOST = 100_000
_WORD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")
_FOLDER = re.compile(r"([1-9][0-9]{0,5})-of-([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The `number`th of `count` parts of the problems, from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """ "2/4" → the second of four. Raises UserError for anything else."""
        found = _WORD.fullmatch(text.strip())
        number, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= count <= MOST:
            fix = f"for example 1/4, 2/4, 3/4 and 4/4; at most {MOST} shards"
            raise UserError(f"{text!r} is not a shard", where="--shard", fix=fix)
        return cls(number, count)

    @classmethod
    def of_folder(cls, name: str) -> Self | None:
        """The shard whose folder has this name; None where it is another folder."""
        found = _FOLDER.fullmatch(name)
        shard = cls(int(found[1]), int(found[2])) if found else None
        return shard if shard is not None and shard.number <= shard.count else None

    @property
    def folder_name(self) -> str:
        return f"{self.number}-of-{self.count}"

    def has(self, task_id: str) -> bool:
        return shard_number(task_id, self.count) == self.number

    def of(self, problems: Sequence[Problem]) -> list[Problem]:
        """Its problems, in the given order."""
        return [problem for problem in problems if self.has(problem.task_id)]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def shard_number(task_id: str, count: int) -> int:
    """1 … count, by the problem's name alone: not by its place, nor by what other problems there are."""
    digest = hashlib.sha256(task_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest, "big") % count + 1
