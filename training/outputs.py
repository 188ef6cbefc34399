"""What a training run leaves in its model folder."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerBase, Trainer
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl.trainer.utils import create_model_from_path

from harness.store import Manifest, write_atomically, write_rows
from training.audit import DRAWS, TOKENS
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
    """A folder that AutoModelForCausalLM loads; with LoRA the adapter is merged in and also kept alone.

    To be called by all processes: each has a part of the weights where they are shared out (FSDP, ZeRO-3).
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    if config.lora is not None:
        trainer.save_model(str(out / "adapter"))
        if trainer.is_world_process_zero():
            _merged(trainer, model, out / "adapter").save_pretrained(out)
            tokenizer.save_pretrained(out)
    elif trainer.is_fsdp_enabled:
        # As trainer.save_model, which would write an output layer that is the input embedding a second time.
        state = trainer.accelerator.get_state_dict(trainer.model)
        if trainer.is_world_process_zero():
            kept = {name: weights for name, weights in state.items() if name not in model.all_tied_weights_keys}
            model.save_pretrained(out, state_dict=kept)
            tokenizer.save_pretrained(out)
    else:
        trainer.save_model(str(out))
    if trainer.is_world_process_zero():
        for folder in (out, out / "adapter"):
            (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle with paths of this machine


def _merged(trainer: Trainer, model: Any, adapter: Path) -> Any:
    """The base model with the adapter in it. In the first process only, so it must not wait for another."""
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return model.merge_and_unload()
    # Else loading would share the weights out again.
    unset_hf_deepspeed_config()  # type: ignore[no-untyped-call]
    loading = {"device_map": None} | (getattr(trainer.args, "model_init_kwargs", None) or {})
    base = create_model_from_path(model.peft_config["default"].base_model_name_or_path, **loading)
    return PeftModel.from_pretrained(base, adapter).merge_and_unload()


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
        problems=data.account.problems,
        validation_problems=validation.account.problems if validation else 0,
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
        eval_loss=evaluations.get(kept),
        kept_step=kept,
        seconds=round(seconds, 1),
        resumed_from=resumed_from,
    )


def run_facts(trainer: Trainer, config: TrainConfig, facts: Mapping[str, Any]) -> dict[str, Any]:
    """These facts, and what the run was made with."""
    return dict(facts) | {
        "device": str(trainer.args.device.type),
        "processes": trainer.args.world_size,
        "precision": precision(config),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "trl": trl.__version__,
    }


def save_records(
    trainer: Trainer,
    out: Path,
    config: TrainConfig,
    *,
    summary: TrainSummary,
    data: TokenData,
    validation: TokenData | None,
    digests: Mapping[str, str | None],
    labelling: Mapping[str, Any],
    model_path: Path | str,
    facts: Mapping[str, Any],
) -> None:
    """Records, card, then the summary that says the folder is finished, then away with the checkpoints.

    `digests` are those of the splits' files; `labelling` is the summary.json beside the training data, or empty.
    """
    accounts = {"train": data.account} | ({"validation": validation.account} if validation else {})
    facts = run_facts(trainer, config, facts)
    record_draws(out, config, data.rows, epochs=max(1, math.ceil(summary.epochs)))
    history = trainer.state.log_history
    write_atomically(out / "log_history.json", json.dumps(history, indent=1) + "\n")
    trainer.state.save_to_json(str(out / "trainer_state.json"))
    card = render_card(
        name=config.name,
        base_model=None if Path(model_path).is_dir() else str(model_path),
        data={split: {"file (sha256)": digests[split]} | asdict(account) for split, account in accounts.items()},
        labelling=labelling,
        settings=config.settings(),
        metrics=asdict(summary),
        log_history=history,
        facts=facts,
    )
    write_atomically(out / "README.md", card)
    Manifest(out).note(STAGE, **facts, **{f"{split}_data": str(account) for split, account in accounts.items()})
    write_atomically(out / SUMMARY, json.dumps(asdict(summary), indent=2) + "\n")
    clear_away(out, config)


def clear_away(out: Path, config: TrainConfig) -> None:
    """Remove what a finished run needs no more. A run that was killed here does it when it is asked for again."""
    if not config.keep_checkpoints:
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    if not config.audit:
        shutil.rmtree(out / TOKENS, ignore_errors=True)


def record_draws(out: Path, config: TrainConfig, rows: Dataset, epochs: int) -> None:
    """draws.jsonl: which samples were drawn. Draws depend on nothing but their key, so this is what training saw."""
    write_rows(out / DRAWS, _draws(config, rows, epochs))


def _draws(config: TrainConfig, rows: Dataset, epochs: int) -> Iterator[dict[str, Any]]:
    selection = Selection(config.seed, config.top_p, config.task, config.augment)
    needed = rows.select_columns([name for name in rows.column_names if name != "tokens"])
    for epoch in range(epochs):
        selection.epoch = epoch
        for row in needed:
            drawn = (selection.answer(row),) if config.optim == "sft" else selection.pair(row)
            yield selection.said_of(row, drawn)
