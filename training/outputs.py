"""What a training run leaves in its model folder."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from transformers import PreTrainedTokenizerBase, Trainer

from harness.store import Manifest, write_atomically, write_rows
from training.card import render_card
from training.collators import Selection
from training.config import TrainConfig
from training.dataset import TokenData
from training.trainers import precision

STAGE = "train"
SUMMARY = "training.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What came of a run; `training.json` in the model folder. Losses are means per token (SFT) or pair (DPO)."""

    name: str
    optim: str
    steps: int
    epochs: float
    problems: int
    validation_problems: int
    first_loss: float | None
    last_loss: float | None
    eval_loss: float | None  # of the model that is kept: the lowest with best_by eval_loss, else the last
    kept_step: int
    seconds: float  # of the last session, model loading and saving included
    resumed_from: int | None  # step
    finished_before: bool = False  # this call had nothing to do


def save_model(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, out: Path, config: TrainConfig) -> None:
    """A folder that AutoModelForCausalLM loads; with LoRA the adapter is merged in and also kept alone."""
    if config.lora is None:
        trainer.save_model(str(out))
    else:
        trainer.save_model(str(out / "adapter"))
        if trainer.is_world_process_zero():
            merged = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
            merged.save_pretrained(out)
            tokenizer.save_pretrained(out)
    for folder in (out, out / "adapter"):
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle with paths of this machine


def summarize(
    trainer: Trainer,
    config: TrainConfig,
    *,
    data: TokenData,
    validation: TokenData | None,
    resumed_from: int | None,
    seconds: float,
) -> TrainSummary:
    """What the trainer's own log says, over all sessions of the run."""
    state = trainer.state
    losses = [float(entry["loss"]) for entry in state.log_history if "loss" in entry]
    evaluations = {int(entry["step"]): float(entry["eval_loss"]) for entry in state.log_history if "eval_loss" in entry}
    kept = state.global_step
    if trainer.args.load_best_model_at_end and state.best_global_step:
        kept = state.best_global_step
    return TrainSummary(
        name=config.name,
        optim=config.optim,
        steps=state.global_step,
        epochs=round(float(state.epoch or 0), 4),
        problems=len(data.rows),
        validation_problems=len(validation.rows) if validation else 0,
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        eval_loss=evaluations.get(kept),
        kept_step=kept,
        seconds=round(seconds, 1),
        resumed_from=resumed_from,
    )


def save_records(
    trainer: Trainer,
    out: Path,
    config: TrainConfig,
    *,
    summary: TrainSummary,
    data: TokenData,
    validation: TokenData | None,
    model_path: Path | str,
    facts: Mapping[str, Any],
) -> None:
    """Records, card, then the summary that says the folder is finished, then away with the checkpoints."""
    accounts = {"train": data.account} | ({"validation": validation.account} if validation else {})
    facts = dict(facts) | {
        "device": str(trainer.args.device.type),
        "processes": trainer.args.world_size,
        "precision": precision(config),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
    }
    write_rows(out / "draws.jsonl", _draws(config, data, epochs=max(1, math.ceil(summary.epochs))))
    history = trainer.state.log_history
    write_atomically(out / "log_history.json", json.dumps(history, indent=1) + "\n")
    trainer.state.save_to_json(str(out / "trainer_state.json"))
    card = render_card(
        name=config.name,
        base_model=None if Path(model_path).is_dir() else str(model_path),
        data=accounts,
        settings=config.settings(),
        metrics=asdict(summary),
        log_history=history,
        facts=facts,
    )
    write_atomically(out / "README.md", card)
    Manifest(out).note(STAGE, **facts, **{f"{split}_data": text for split, text in accounts.items()})
    write_atomically(out / SUMMARY, json.dumps(asdict(summary), indent=2) + "\n")
    if not config.keep_checkpoints:
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)


def _draws(config: TrainConfig, data: TokenData, epochs: int) -> list[dict[str, Any]]:
    """Which samples were drawn: draws depend on nothing but their key, so this is what the collator saw."""
    selection = Selection(config.seed, config.top_p, config.task, config.augment)
    record: list[dict[str, Any]] = []
    for epoch in range(epochs):
        selection.epoch = epoch
        for row in data.rows:
            samples = data.sample_ids[row["task_id"]]
            entry: dict[str, Any] = {"epoch": epoch, "task_id": row["task_id"]}
            if config.optim == "sft":
                entry["answer"] = samples[selection.answer(row)]
            else:
                chosen, rejected = selection.pair(row)
                entry |= {"chosen": samples[chosen], "rejected": samples[rejected]}
            record.append(entry)
    return record
