"""What a command was asked for: which experiment on which problems, which model, which cores, which timing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.paths import RunPaths, data_name
from harness.problems import load_problems, select_problems
from harness.progress import ConsoleReporter
from harness.records import Problem, TimingInputs, TimingMethod

if TYPE_CHECKING:
    from harness.annotation.settings import AnnotationSettings
    from harness.sampling.settings import SamplingSettings, ServerSettings


@dataclass(frozen=True, slots=True)
class Where:
    """Which experiment on which problems."""

    root: Path
    save_path: str
    data_path: str
    splits: tuple[str, ...]
    limit: int | None = None
    task_ids: str | None = None

    def __post_init__(self) -> None:
        if not self.splits:
            raise UserError("no split is named", where="--split", fix="for example --split train,validation")
        plain_name(self.save_path, "--save_path")

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.root, self.save_path, data_name(self.data_path))

    def problems(self) -> dict[str, list[Problem]]:
        """The chosen problems by split, every asked-for split there. Raises UserError where none is chosen."""
        ids = self.task_ids.replace(",", " ").split() if self.task_ids is not None else None
        chosen = select_problems(load_problems(self.data_path, self.splits), limit=self.limit, task_ids=ids)
        by_split: dict[str, list[Problem]] = {split: [] for split in dict.fromkeys(self.splits)}
        for problem in chosen:
            by_split[problem.split].append(problem)
        return {split: problems for split, problems in by_split.items() if problems}


@dataclass(frozen=True, slots=True)
class Drawing:
    """The model to draw from, and how."""

    model_path: str
    n_seq: int
    n_iter: int
    temp: float
    max_new_tokens: int
    batch_size: int | None
    seed: int
    dtype: str = "auto"
    server: ServerSettings | None = None

    def settings(self) -> SamplingSettings:
        from harness.sampling.address import is_address
        from harness.sampling.settings import SamplingSettings, ServerSettings

        server = self.server or ServerSettings()
        if server != ServerSettings() and not is_address(self.model_path):
            options = "--served_model, --concurrency, --api_key_env, --tokenizer and --api"
            fix = "give its address: --model_path http://host:port/v1"
            raise UserError(f"{options} are about a model behind an address", where="--model_path", fix=fix)
        return SamplingSettings(
            n_seq=self.n_seq,
            n_iter=self.n_iter,
            temperature=self.temp,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
            batch_size=self.batch_size,
            dtype=self.dtype,
            server=server,
        )


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of the sandbox, and those of them that time; None: no choice made."""

    all: tuple[int, ...] | None = None
    timing: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, cores: str | None, timing: str | None) -> Cores:
        return cls(parse_cores(cores, "--cores"), parse_cores(timing, "--timing_cores"))


@dataclass(frozen=True, slots=True)
class Timed:
    """How passing solutions are timed, for how many seconds at most (of a split), and on whose calls."""

    method: TimingMethod = TimingMethod.BLOCKS
    seconds: float | None = None
    inputs: TimingInputs = TimingInputs.OWN

    def settings(self, seed: int, cores: Cores) -> AnnotationSettings:
        from harness.annotation.settings import AnnotationSettings

        return AnnotationSettings(
            seed=seed,
            method=self.method,
            timing_inputs=self.inputs,
            timing_cores=cores.timing,
            timing_seconds=self.seconds,
        )


def reporter() -> ConsoleReporter:
    return ConsoleReporter()


def plain_name(name: str, option: str) -> str:
    """The name of a folder under --root, not a path: UserError for anything else."""
    if name in ("", ".", "..") or "/" in name:
        fix = "give a plain name; --root says where all of them are kept"
        raise UserError(f"{name!r} is not a name", where=option, fix=fix)
    return name


def parse_cores(text: str | None, option: str) -> tuple[int, ...] | None:
    """ "0,2-3" → (0, 2, 3); None: no choice made."""
    if text is None:
        return None
    cores: list[int] = []
    for part in text.replace(",", " ").split():
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise UserError(f"{part!r} is not a core or a range of cores", where=option, fix="for example 1,2,4-7")
        cores += range(int(first), int(last if dash else first) + 1)
    if not cores:
        raise UserError("no core is named", where=option, fix="for example 1,2,4-7")
    return tuple(dict.fromkeys(cores))
