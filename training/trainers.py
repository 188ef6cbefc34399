"""TRL's trainers on rows that are tokenised already and drawn by a collator."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from huggingface_hub import constants
from peft import LoraConfig
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.errors import UserError
from training.callbacks import EpochCallback
from training.collators import AnswerCollator, PairCollator, Selection
from training.config import TrainConfig
from training.dataset import TokenRow

# For programs that imported huggingface_hub before this package could set the environment variable.
constants.HF_HUB_DISABLE_TELEMETRY = True

# What would silently undo the drawing of answers, or go around the collator that does it.
_UNSAFE_WHEN_DRAWN_ANEW = {
    "dataloader_persistent_workers": "workers that live on keep drawing for the epoch they were started in",
    "precompute_ref_log_probs": "reference log-probabilities of one epoch's pairs would be used for other pairs",
}
_UNSAFE_ALWAYS = {
    "padding_free": "it takes no collator of ours",
    "packing": "it joins rows before answers are drawn",
    "eval_packing": "it joins rows before answers are drawn",
    "remove_unused_columns": "it would remove the answers",
    "dataset_kwargs": "the rows are prepared already",
    "data_seed": "use seed",
}


class PairTrainer(DPOTrainer):
    """DPOTrainer that takes rows that are tokenised already. SFTTrainer has a setting for that; this one has not."""

    def _prepare_dataset(
        self,
        dataset: Dataset,
        processing_class: Any,  # TRL's union of tokeniser and processor classes
        args: DPOConfig,
        dataset_name: str,
    ) -> Dataset:
        if "sequences" in dataset.column_names:
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


def arguments(config: TrainConfig, output_dir: Path, *, evaluate: bool) -> SFTConfig | DPOConfig:
    """The trainer's arguments. Raises UserError for `trainer:` settings that are unknown, unsafe or already ours."""
    if torch.cuda.device_count() > 1 and "WORLD_SIZE" not in os.environ and config.device != "cpu":
        raise UserError(
            f"{torch.cuda.device_count()} GPUs are visible to one process",
            fix="start it with `accelerate launch`, or make one visible: CUDA_VISIBLE_DEVICES=0",
        )
    kind = SFTConfig if config.optim == "sft" else DPOConfig
    ours = _common(config, output_dir, evaluate=evaluate)
    if config.optim == "sft":
        ours["dataset_kwargs"] = {"skip_prepare_dataset": True}
    else:
        ours["beta"] = config.beta
    _check_passed_on(config, kind, ours)
    return kind(**ours, **config.trainer)


def _common(config: TrainConfig, output_dir: Path, *, evaluate: bool) -> dict[str, Any]:
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


def _check_passed_on(config: TrainConfig, kind: type[Any], ours: dict[str, Any]) -> None:
    known = {field.name for field in dataclasses.fields(kind)}
    for key, value in config.trainer.items():
        if key not in known:
            raise UserError(f"unknown setting 'trainer.{key}'", fix=f"an argument of TRL's {kind.__name__}")
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
    train_rows: list[TokenRow],
    validation_rows: list[TokenRow],
    args: SFTConfig | DPOConfig,
    callbacks: list[TrainerCallback],
) -> Trainer:
    """A trainer that is ready to run. The model is given by path: TRL then loads DPO's reference from there, too."""
    selection = Selection(config.seed, config.top_p, config.task, config.augment)
    pad = pad_token_id(tokenizer)
    shared: dict[str, Any] = {
        "model": model_path,
        "train_dataset": Dataset.from_list([dict(row) for row in train_rows]),
        "eval_dataset": Dataset.from_list([dict(row) for row in validation_rows]) if validation_rows else None,
        "processing_class": tokenizer,
        "callbacks": [EpochCallback(selection), *callbacks],
        "peft_config": _lora(config),
        "args": args,
    }
    trainer: Trainer
    if config.optim == "sft":
        trainer = SFTTrainer(data_collator=AnswerCollator(pad_token_id=pad, selection=selection), **shared)
    else:
        trainer = PairTrainer(data_collator=PairCollator(pad_token_id=pad, selection=selection), **shared)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _lora(config: TrainConfig) -> LoraConfig | None:
    if config.lora is None:
        return None
    return LoraConfig(
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.target,
        task_type="CAUSAL_LM",
    )
