"""The settings of a training run: a YAML file, overridden by the command line. Unknown keys are refused.

The defaults are the published ones (Gee et al., 2024: 30 epochs, 5e-7, linear with 10% warm-up, 2 by 16, beta 0.1).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.errors import UserError
from training.online_settings import Online
from training.selection import PairRule, Task, WeighBy

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

    optim: Literal["sft", "dpo", "rloo", "grpo"] = "sft"
    # What is drawn (training/selection.py)
    top_p: Annotated[float, Field(gt=0, le=100)] = 25.0  # SFT: per cent of a problem's passing answers, fastest first
    task: Task = Task.QVS  # DPO
    confirmed: bool = True  # DPO, qvs and all: only decided pairs whose order was seen again
    min_ratio: Annotated[float, Field(ge=0)] = 1.0  # … and with an interval of the ratio that begins here or above
    weigh_by: WeighBy = WeighBy.NONE  # … equally likely, or by how far from 1 the interval of the ratio stays
    augment: bool = True  # draw anew in every epoch; False: one draw, kept for the whole run
    seed: int = 1
    # How it is trained
    epochs: Annotated[int, Field(ge=1)] = 30
    max_steps: Annotated[int, Field(ge=1)] | None = None  # stops there, and the schedule ends there, whatever `epochs`
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    batch_size: Annotated[int, Field(ge=1)] = 2  # problems per device and forward pass; online: completions
    gradient_accumulation: Annotated[int, Field(ge=1)] = 16
    max_length: Annotated[int, Field(ge=2)] = 2048  # tokens of prompt, answer and EOS; longer ones are left out
    max_prompt_length: Annotated[int, Field(ge=1)] = 1024  # tokens of the prompt alone; as above
    warmup: Annotated[float, Field(ge=0)] = 0.1  # below 1: part of all steps; else steps
    scheduler: str = "linear"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(ge=0)] = 1.0
    beta: Annotated[float, Field(gt=0)] = 0.1  # DPO: how strongly the model is held to where it started
    lora: Lora | None = None
    gradient_checkpointing: bool = True
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    device: Literal["auto", "cpu"] = "auto"
    online: Online = Online()  # RLOO, GRPO
    # What is kept
    checkpoint_every: Literal["epoch", "never"] | Annotated[int, Field(ge=1)] = "epoch"  # evaluate and save; or steps
    best_by: Literal["eval_loss", "none"] = "eval_loss"  # which checkpoint becomes the model; none: the last
    save_total_limit: Annotated[int, Field(ge=1)] = 2
    keep_checkpoints: bool = False  # after a finished run; they are needed for resuming only
    audit: bool = False  # keep on record what each step was really given (training/audit.py)
    logging_steps: Annotated[int, Field(ge=1)] = 1
    report_to: list[str] = []  # e.g. tensorboard, trackio, wandb
    workers: Annotated[int, Field(ge=0)] = 0  # processes that prepare batches
    trainer: dict[str, Any] = {}  # any other argument of TRL's SFTConfig or DPOConfig, e.g. deepspeed, fsdp

    @model_validator(mode="after")
    def _checkpoints_for_the_best(self) -> TrainConfig:
        if self.checkpoint_every == "never" and self.best_by != "none" and not self.is_online:
            raise ValueError("best_by: eval_loss needs checkpoints; set best_by: none or another checkpoint_every")
        return self

    @model_validator(mode="after")
    def _whole_groups(self) -> TrainConfig:
        if self.is_online and self.completions_per_step % self.online.generations:
            raise ValueError(
                f"a step's batch_size × gradient_accumulation = {self.completions_per_step} completions are no "
                f"multiple of online.generations = {self.online.generations}"
            )
        return self

    @property
    def is_online(self) -> bool:
        """Whether the model learns from completions that it writes while it is trained (training/online.py)."""
        return self.optim in ("rloo", "grpo")

    @property
    def completions_per_step(self) -> int:
        """Online: completions that an optimiser step learns from."""
        return self.batch_size * self.gradient_accumulation

    @property
    def name(self) -> str:
        """The model folder's name: `sft-25`, `dpo-qvs`, `rloo`."""
        if self.is_online:
            return self.optim
        return f"sft-{self.top_p:g}" if self.optim == "sft" else f"dpo-{self.task.value}"

    @property
    def draws(self) -> Task | None:
        """What is drawn from a problem: a pair of this kind, or None for one answer."""
        return self.task if self.optim == "dpo" else None

    @property
    def rule(self) -> PairRule:
        """Which decided pairs may be drawn, and how likely each is."""
        return PairRule(self.confirmed, self.min_ratio, self.weigh_by)

    def settings(self) -> dict[str, Any]:
        """What the weights depend on, for the manifest: without what another optimisation or task alone would use.

        `audit` is among them: a record of what was seen that begins in the middle of a run proves nothing.
        """
        unused = {"top_p"} if self.optim == "dpo" else {"task", "beta"}
        unused |= {"top_p", "augment", "best_by", "audit"} if self.is_online else {"online"}
        if self.draws not in (Task.QVS, Task.ALL):
            unused |= {"confirmed", "min_ratio", "weigh_by"}
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
    if config.is_online:  # the last problems of an epoch, too few for a step, are left out of it
        per_epoch = problems * config.online.generations // config.completions_per_step
    else:
        batches = math.ceil(math.ceil(problems / config.batch_size) / processes)
        per_epoch = math.ceil(batches / config.gradient_accumulation)
    per_epoch = max(1, per_epoch)
    total = config.max_steps or config.epochs * per_epoch
    warmup = math.ceil(total * config.warmup) if config.warmup < 1 else int(config.warmup)
    return Steps(per_epoch=per_epoch, total=total, warmup=warmup, epochs=math.ceil(total / per_epoch))


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Settings from a YAML file (None: the defaults); overrides that are None are not set.

    An override of a section (`online`) replaces the keys it has.

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
    for key, value in (overrides or {}).items():
        if value is not None:
            section = values.get(key)
            values[key] = {**section, **value} if isinstance(section, dict) and isinstance(value, Mapping) else value
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise _explain(error, where=str(path) if path else "") from error


def _explain(error: ValidationError, *, where: str) -> UserError:
    first = error.errors(include_url=False)[0]
    if first["type"] == "extra_forbidden":
        key = ".".join(str(part) for part in first["loc"])
        return UserError(f"unknown setting {key!r}", where=where, fix=_nearest(first["loc"]))
    # A union's branches are in the path, too: only what stands in the file is shown.
    key = ".".join(str(part) for part in first["loc"] if part in _known(first["loc"]))
    reason = str(first["msg"]).removeprefix("Value error, ")
    return UserError(f"setting {key!r}: {reason}" if key else reason, where=where, fix="see docs and recipes/")


def _sections() -> dict[str, type[BaseModel]]:
    """The settings that are themselves a list of settings, by name."""
    found: dict[str, type[BaseModel]] = {}
    for name, field in TrainConfig.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found[name] = kind
    return found


def _known(place: tuple[int | str, ...]) -> Collection[str]:
    """The names that may stand in a place: of the whole file, and of the section that the place is in."""
    section = _sections().get(str(place[0])) if place else None
    return {*TrainConfig.model_fields, *(section.model_fields if section else ())}


def _nearest(place: tuple[int | str, ...]) -> str:
    section = _sections().get(str(place[0])) if len(place) > 1 else None
    return suggest(str(place[-1]), section.model_fields if section else TrainConfig.model_fields)


def suggest(name: str, known: Collection[str]) -> str:
    """What someone who wrote `name` may have meant, or all that there is."""
    near = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
