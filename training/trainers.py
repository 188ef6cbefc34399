"""TRL's trainers on rows that are tokenised already and drawn by a collator."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from huggingface_hub import constants
from peft import LoraConfig
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainerState
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_callback import PrinterCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.errors import UserError
from training.audit import SeenFile
from training.callbacks import EpochCallback
from training.collators import DRAWN, AnswerCollator, PairCollator, Selection
from training.config import TrainConfig, suggest
from training.processes import launched

# For programs that imported huggingface_hub before this package could set the environment variable.
constants.HF_HUB_DISABLE_TELEMETRY = True

# What would silently undo the drawing of answers, or go around the collator that does it.
_UNSAFE_WHEN_DRAWN_ANEW = {
    "dataloader_persistent_workers": "workers that live on keep drawing for the epoch they were started in",
    "precompute_ref_log_probs": "reference log-probabilities of one epoch's pairs would be used for other pairs",
}
TRACKERS = ("tensorboard", "trackio", "wandb")  # the extra `trackers`; all others that transformers knows work, too
_UNSAFE_ALWAYS = {
    "padding_free": "it takes no collator of ours",
    "packing": "it joins rows before answers are drawn",
    "eval_packing": "it joins rows before answers are drawn",
    "remove_unused_columns": "it would remove the answers",
    "dataset_kwargs": "the rows are prepared already",
    "data_seed": "use seed",
}


class _Audited:
    """Puts on record what goes into each step (training/audit.py), where `seen` is set."""

    seen: SeenFile | None = None
    state: TrainerState

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        if self.seen is not None:
            drawn = inputs.pop(DRAWN)  # the model would be given it as an argument
            self.seen.add(self.state.global_step, drawn, inputs)
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)  # type: ignore[misc]
        return loss


class AnswerTrainer(_Audited, SFTTrainer):
    """SFTTrainer, nothing else changed."""


class PairTrainer(_Audited, DPOTrainer):
    """DPOTrainer that takes rows that are tokenised already. SFTTrainer has a setting for that; this one has not."""

    def _prepare_dataset(
        self,
        dataset: Dataset,
        processing_class: Any,  # TRL's union of tokeniser and processor classes
        args: DPOConfig,
        dataset_name: str,
    ) -> Dataset:
        if "tokens" in dataset.column_names:
            return dataset
        return super()._prepare_dataset(dataset, processing_class, args, dataset_name)


def on_cpu(config: TrainConfig) -> bool:
    """Whether training will run on the CPU: as asked for, or for lack of an accelerator."""
    return config.device == "cpu" or not torch.accelerator.is_available()


def precision(config: TrainConfig) -> str:
    """`bf16`, `fp16` or `fp32`: for `auto`, the fastest that the hardware multiplies in; weights are fp32 in any case.

    On a CPU bf16 pays with AMX only (measured: 0.6 to 0.75 of the CPU time of fp32). Raises UserError for fp16
    without a GPU, which torch can't train in.
    """
    on_gpu = not on_cpu(config) and torch.cuda.is_available()
    if config.precision == "fp16" and not on_gpu:
        raise UserError("precision fp16 needs a GPU", fix="precision: auto")
    if config.precision != "auto":
        return config.precision
    if on_gpu:
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if on_cpu(config) and torch.cpu.get_capabilities().get("amx_bf16", False) else "fp32"


def check_launch(config: TrainConfig) -> None:
    """Raise UserError for a launch, or a wish for a tracker, that would fail or go wrong after hours of training."""
    devices = torch.cuda.device_count()
    if devices > 1 and "WORLD_SIZE" not in os.environ and config.device != "cpu":
        raise UserError(
            f"{devices} GPUs are visible to one process, which can train on one only",
            fix=f"all of them: make train GPUS={devices} (docs/training.md); one of them: CUDA_VISIBLE_DEVICES=0",
        )
    if launched().get("sharding") == "fsdp":
        version, saved = os.environ.get("FSDP_VERSION", "1"), os.environ.get("FSDP_STATE_DICT_TYPE", "")
        if (version, saved) != ("2", "FULL_STATE_DICT"):
            raise UserError(
                f"FSDP version {version} with {saved or 'no state dict type'} leaves no model that can be loaded here",
                where="the configuration of `accelerate launch`",
                fix="fsdp_version: 2 and fsdp_state_dict_type: FULL_STATE_DICT, as in recipes/accelerate/fsdp2.yaml",
            )
    for tracker in config.report_to:
        if tracker not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(TRACKERS)
            raise UserError(f"no tracker {tracker!r}", where="report_to", fix=f"one of {known}, or none")
        if tracker in TRACKERS and importlib.util.find_spec(tracker) is None:
            fix = f"pip install 'code-optimise[trackers]', or pip install {tracker}"
            raise UserError(f"the package {tracker!r} is not installed", where="report_to", fix=fix)


def arguments(config: TrainConfig, output_dir: Path, *, evaluate: bool) -> SFTConfig | DPOConfig:
    """The trainer's arguments. Raises UserError for `trainer:` settings that are unknown, unsafe or already ours."""
    kind = SFTConfig if config.optim == "sft" else DPOConfig
    ours = common_arguments(config, output_dir, evaluate=evaluate)
    if config.optim == "sft":
        ours["dataset_kwargs"] = {"skip_prepare_dataset": True}
    else:
        ours["beta"] = config.beta
    check_passed_on(config, kind, ours)
    defaults: dict[str, Any] = {
        "ddp_find_unused_parameters": False,  # every weight has a gradient in every step: nothing would be found
        "project": "code-optimise",  # for trackers
        "run_name": config.name,
    }
    return kind(**ours, **(defaults | config.trainer))


def common_arguments(config: TrainConfig, output_dir: Path, *, evaluate: bool) -> dict[str, Any]:
    """Arguments that all trainers share. Raises UserError as `check_launch` does."""
    check_launch(config)
    if "ACCELERATE_MIXED_PRECISION" in os.environ:  # what a launcher says would win where ours is fp32
        chosen = precision(config)
        os.environ["ACCELERATE_MIXED_PRECISION"] = "no" if chosen == "fp32" else chosen
    if "tensorboard" in config.report_to:  # it would write among the checkpoints, which are removed at the end
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(output_dir.parent / "tensorboard"))
    kept = "no" if config.checkpoint_every == "never" else "epoch" if config.checkpoint_every == "epoch" else "steps"
    steps = {"save_steps": config.checkpoint_every} if kept == "steps" else {}
    evaluated = {"eval_steps": config.checkpoint_every} if kept == "steps" and evaluate else {}
    best = config.best_by == "eval_loss" and evaluate
    return {
        "output_dir": str(output_dir),
        "num_train_epochs": config.epochs,
        "max_steps": config.max_steps or -1,
        "learning_rate": config.learning_rate,
        "per_device_train_batch_size": config.batch_size,
        "per_device_eval_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "warmup_steps": config.warmup,
        "lr_scheduler_type": config.scheduler,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "max_length": config.max_length,
        "gradient_checkpointing": config.gradient_checkpointing,
        "bf16": precision(config) == "bf16",
        "fp16": precision(config) == "fp16",
        "use_cpu": on_cpu(config),
        "seed": config.seed,
        "save_strategy": kept,
        "eval_strategy": kept if evaluate and kept != "no" else "no",
        **steps,
        **evaluated,
        "save_total_limit": config.save_total_limit,
        "load_best_model_at_end": best,
        "metric_for_best_model": "eval_loss" if best else None,
        "greater_is_better": False if best else None,
        "logging_steps": config.logging_steps,
        "logging_nan_inf_filter": False,
        "report_to": config.report_to or "none",
        "disable_tqdm": True,
        "dataloader_num_workers": config.workers,
        "dataloader_pin_memory": not on_cpu(config),
        "remove_unused_columns": False,
    }


def check_passed_on(config: TrainConfig, kind: type[Any], ours: dict[str, Any]) -> None:
    known = {field.name for field in dataclasses.fields(kind)}
    for key, value in config.trainer.items():
        if key not in known:
            fix = f"an argument of TRL's {kind.__name__}; {suggest(key, known)}"
            raise UserError(f"unknown setting 'trainer.{key}'", fix=fix)
        if key in _UNSAFE_ALWAYS and value:
            raise UserError(f"'trainer.{key}' can't be used: {_UNSAFE_ALWAYS[key]}", fix="leave it out")
        if key in _UNSAFE_WHEN_DRAWN_ANEW and value and config.augment:
            raise UserError(
                f"'trainer.{key}' can't be used with augment: {_UNSAFE_WHEN_DRAWN_ANEW[key]}",
                fix="leave it out, or set augment: false",
            )
        if key in ours:
            raise UserError(f"'trainer.{key}' is set by this program", fix="use the setting of our own for it")


def pad_token_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The padding token; EOS where there is none (what carries loss is decided by position, not by token)."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return int(tokenizer.pad_token_id)


def build_trainer(
    config: TrainConfig,
    *,
    model_path: str,
    tokenizer: PreTrainedTokenizerBase,
    train_rows: Dataset,
    validation_rows: Dataset | None,
    args: SFTConfig | DPOConfig,
    callbacks: list[TrainerCallback],
    seen: SeenFile | None = None,
) -> Trainer:
    """A trainer that is ready to run. The model is given by path: TRL then loads DPO's reference from there, too.

    Rows are TokenRows (training.dataset.open_tokens). With `seen`, what each step is given is put on record there.
    """
    selection = Selection(config.seed, config.top_p, config.task, config.augment)
    collator: dict[str, Any] = {
        "pad_token_id": pad_token_id(tokenizer),
        "selection": selection,
        "audit": seen is not None,
    }
    shared: dict[str, Any] = {
        "model": model_path,
        "train_dataset": train_rows,
        "eval_dataset": validation_rows,
        "processing_class": tokenizer,
        "callbacks": [EpochCallback(selection), *callbacks],
        "peft_config": lora_config(config),
        "args": args,
    }
    trainer: AnswerTrainer | PairTrainer
    if config.optim == "sft":
        trainer = AnswerTrainer(data_collator=AnswerCollator(**collator), **shared)
    else:
        trainer = PairTrainer(data_collator=PairCollator(**collator), **shared)
    trainer.seen = seen
    # precompute_ref_log_probs adds columns to the rows, and the format is lost.
    if isinstance(trainer.train_dataset, Dataset):
        trainer.train_dataset = trainer.train_dataset.with_format("numpy")
    if isinstance(trainer.eval_dataset, Dataset):
        trainer.eval_dataset = trainer.eval_dataset.with_format("numpy")
    trainer.remove_callback(PrinterCallback)
    return trainer


def lora_config(config: TrainConfig) -> LoraConfig | None:
    if config.lora is None:
        return None
    return LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.target,
        task_type="CAUSAL_LM",
    )
