"""The settings of a training run: a YAML file, overridden by the command line. Unknown keys are refused.

The defaults are the published ones (Gee et al., 2024: 30 epochs, 5e-7, linear with 10% warm-up, 2 by 16, beta 0.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UserError
from training.selection import Task

# These say how a run is watched and kept, not what it computes: a run may be resumed with others.
NOT_PART_OF_THE_RESULT = ("logging_steps", "report_to", "save_total_limit", "keep_checkpoints", "workers")


class Lora(BaseModel):
    """Train low-rank adapters only. The saved model has them merged in; the adapter alone is kept beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    r: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target: str | list[str] = "all-linear"


class TrainConfig(BaseModel):
    """All that a training run depends on, besides its data and its model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optim: Literal["sft", "dpo"] = "sft"
    # What is drawn (training/selection.py)
    top_p: Annotated[float, Field(gt=0, le=100)] = 25.0  # SFT: per cent of a problem's passing answers, fastest first
    task: Task = Task.QVS  # DPO
    augment: bool = True  # draw anew in every epoch; False: one draw, kept for the whole run
    seed: int = 1
    # How it is trained
    epochs: Annotated[int, Field(ge=1)] = 30
    max_steps: Annotated[int, Field(ge=1)] | None = None  # stops there, and the schedule ends there, whatever `epochs`
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    batch_size: Annotated[int, Field(ge=1)] = 2  # problems per device and forward pass
    gradient_accumulation: Annotated[int, Field(ge=1)] = 16
    max_length: Annotated[int, Field(ge=2)] = 2048  # tokens of prompt, answer and EOS; longer ones are left out
    warmup: Annotated[float, Field(ge=0)] = 0.1  # below 1: part of all steps; else steps
    scheduler: str = "linear"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    beta: Annotated[float, Field(gt=0)] = 0.1  # DPO: how strongly the model is held to where it started
    lora: Lora | None = None
    gradient_checkpointing: bool = True
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    device: Literal["auto", "cpu"] = "auto"
    # What is kept
    checkpoint_every: Literal["epoch", "never"] | Annotated[int, Field(ge=1)] = "epoch"  # evaluate and save; or steps
    best_by: Literal["eval_loss", "none"] = "eval_loss"  # which checkpoint becomes the model; none: the last
    save_total_limit: Annotated[int, Field(ge=1)] = 2
    keep_checkpoints: bool = False  # after a finished run; they are needed for resuming only
    logging_steps: Annotated[int, Field(ge=1)] = 1
    report_to: list[str] = []  # e.g. tensorboard, trackio, wandb
    workers: Annotated[int, Field(ge=0)] = 0  # processes that prepare batches
    trainer: dict[str, Any] = {}  # any other argument of TRL's SFTConfig or DPOConfig, e.g. deepspeed, fsdp

    @model_validator(mode="after")
    def _checkpoints_for_the_best(self) -> TrainConfig:
        if self.checkpoint_every == "never" and self.best_by != "none":
            raise ValueError("best_by: eval_loss needs checkpoints; set best_by: none or another checkpoint_every")
        return self

    @property
    def name(self) -> str:
        """The model folder's name: `sft-25`, `dpo-qvs`."""
        return f"sft-{self.top_p:g}" if self.optim == "sft" else f"dpo-{self.task.value}"

    @property
    def draws(self) -> Task | None:
        """What is drawn from a problem: a pair of this kind, or None for one answer."""
        return self.task if self.optim == "dpo" else None

    def settings(self) -> dict[str, Any]:
        """What the weights depend on, for the manifest: without what another optimisation alone would use."""
        unused = ("top_p",) if self.optim == "dpo" else ("task", "beta")
        return self.model_dump(mode="json", exclude={*NOT_PART_OF_THE_RESULT, *unused})


@dataclass(frozen=True, slots=True)
class Steps:
    """The size of a run, in optimiser steps."""

    per_epoch: int
    total: int
    warmup: int
    epochs: int


def count_steps(config: TrainConfig, problems: int, processes: int = 1) -> Steps:
    """The steps of a run over `problems` usable problems on `processes` devices (as the trainer counts them)."""
    batches = math.ceil(math.ceil(problems / config.batch_size) / processes)
    per_epoch = max(1, math.ceil(batches / config.gradient_accumulation))
    total = config.max_steps or config.epochs * per_epoch
    warmup = math.ceil(total * config.warmup) if config.warmup < 1 else int(config.warmup)
    return Steps(per_epoch=per_epoch, total=total, warmup=warmup, epochs=math.ceil(total / per_epoch))


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Settings from a YAML file (None: the defaults); overrides that are None are not set.

    Raises UserError that names the key, what is wrong with it, and the file.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"can't read the settings: {error}", where=str(path), fix="give a YAML file") from error
        if loaded is not None and not isinstance(loaded, dict):
            raise UserError("the settings are not a list of `key: value`", where=str(path), fix="see recipes/")
        values = {str(key): value for key, value in (loaded or {}).items()}
    values |= {key: value for key, value in (overrides or {}).items() if value is not None}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise _explain(error, where=str(path) if path else "") from error


def _explain(error: ValidationError, *, where: str) -> UserError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part in TrainConfig.model_fields or part in Lora.model_fields)
    if first["type"] == "extra_forbidden":
        key = ".".join(str(part) for part in first["loc"])
        known = Lora.model_fields if first["loc"][0] == "lora" else TrainConfig.model_fields
        return UserError(f"unknown setting {key!r}", where=where, fix=f"known: {', '.join(sorted(known))}")
    reason = str(first["msg"]).removeprefix("Value error, ")
    return UserError(f"setting {key!r}: {reason}" if key else reason, where=where, fix="see docs and recipes/")
