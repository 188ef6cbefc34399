"""How completions are drawn, and in what batches. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from harness.errors import UserError
from harness.sampling.retrying import Patience

DTYPES = ("auto", "float32", "bfloat16")
APIS = ("auto", "completions", "chat")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a model behind an address is asked (docs/sampling.md).

    served_model: its name there; None: the only one there is. concurrency: requests at a time. api_key_env: the
    environment variable with the key; None: no key is sent. tokenizer: of the model (built-in name, folder, Hub id),
    so that it is given the very prompts of a local model; None: bare prompts. api: which of the server's interfaces.
    """

    served_model: str | None = None
    concurrency: int = 8
    api_key_env: str | None = None
    tokenizer: str | None = None
    api: str = "auto"
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise UserError(f"{self.concurrency} requests at a time", where="--concurrency", fix="give 1 or more")
        if self.api not in APIS:
            raise UserError(f"no interface {self.api!r}", where="--api", fix=f"give one of {', '.join(APIS)}")


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """n_seq completions per problem, at `temperature` from the whole distribution; n_seq = 1 is greedy, like 0 degrees.

    n_iter: the n_seq samples are drawn in that many rounds over the problems. max_new_tokens: limit of one completion.
    batch_size: completions that are written side by side, which is what memory depends on (None: 128). Neither n_iter
    nor batch_size changes what is drawn, apart from rounding in the model. dtype: of the weights; "auto" is float32 on
    a CPU and bfloat16 on a GPU. server: for a model behind an address, where batch_size and dtype are the server's.
    """

    n_seq: int = 16
    n_iter: int = 1
    temperature: float = 0.6
    max_new_tokens: int = 256
    seed: int = 1
    batch_size: int | None = None
    dtype: str = "auto"
    server: ServerSettings = ServerSettings()

    def __post_init__(self) -> None:
        problems = (
            (self.n_seq < 1, "--n_seq", f"{self.n_seq} samples per problem", "give 1 or more"),
            (
                self.n_iter < 1 or self.n_seq % max(self.n_iter, 1) != 0,
                "--n_iter",
                f"{self.n_seq} samples can't be split into {self.n_iter} equal rounds",
                "give a divisor of --n_seq",
            ),
            (not 0 <= self.temperature <= 100, "--temp", f"temperature {self.temperature}", "give 0 (greedy) or more"),
            (self.max_new_tokens < 1, "--max_new_tokens", f"{self.max_new_tokens} tokens", "give 1 or more"),
            (
                self.batch_size is not None and self.batch_size < 1,
                "--batch_size",
                f"{self.batch_size} rows",
                "give 1 or more",
            ),
            (self.dtype not in DTYPES, "--dtype", f"no type {self.dtype!r}", f"give one of {', '.join(DTYPES)}"),
        )
        for wrong, where, what, fix in problems:
            if wrong:
                raise UserError(what, where=where, fix=fix)

    @property
    def effective_temperature(self) -> float:
        """0 means greedy."""
        return 0.0 if self.n_seq == 1 else float(self.temperature)


@dataclass(frozen=True, slots=True)
class Row:
    """One completion to draw."""

    task_id: str
    sample_id: int


def plan(lengths: dict[str, int], missing: dict[str, Sequence[int]], settings: SamplingSettings) -> list[Row]:
    """The rows to draw, in order: round by round, and longest prompts first, so that little is padded.

    lengths: tokens of each problem's context. missing: the sample ids to draw per task_id. The longest come first so
    that what does not fit into memory fails at once and not after hours.
    """
    per_round = settings.n_seq // settings.n_iter
    order = sorted(missing, key=lambda task_id: (-lengths[task_id], task_id))
    return [
        Row(task_id, sample_id)
        for number in range(settings.n_iter)
        for task_id in order
        for sample_id in missing[task_id]
        if sample_id // per_round == number
    ]


def chance(seed: int, row: Row) -> Random:
    """The row's own source of randomness: depends on nothing but these, so neither batches nor order matter."""
    digest = hashlib.sha256(f"sample:{seed}:{row.sample_id}:{row.task_id}".encode()).digest()
    return Random(int.from_bytes(digest, "big"))  # noqa: S311  (not for secrets)
