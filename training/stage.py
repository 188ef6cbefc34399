"""The train stage: merged data and a model in, a model folder out.

A folder is worked on until `training.json` is in it. Before that, the same command goes on from the last whole
checkpoint; after that, it has nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Trainer

from harness.errors import DataError, UserError
from harness.fingerprint import model_fingerprint
from harness.progress import Reporter
from harness.store import Manifest, parse_row, read_json
from training.callbacks import FiniteLossCallback, ProgressCallback
from training.config import TrainConfig, count_steps
from training.dataset import TokenData, load_merged, tokenize
from training.outputs import CHECKPOINTS, STAGE, SUMMARY, TrainSummary, save_model, save_records, summarize
from training.quiet import quiet_libraries
from training.selection import build_pool, lacks
from training.trainers import arguments, build_trainer, precision


def plan(train_rows: Path, validation_rows: Path | None, config: TrainConfig, processes: int = 1) -> dict[str, Any]:
    """What `train` would do, without a model: settings, usable problems (before `max_length` is known) and steps."""
    usable: dict[str, int] = {}
    left_out: dict[str, int] = {}
    for split, path in (("train", train_rows), ("validation", validation_rows)):
        usable[split] = 0
        for row in load_merged(path) if path else ():
            reason = lacks(build_pool(row, range(len(row.answers)))[0], config.draws)
            usable[split] += not reason
            if reason:
                left_out[f"{split}: {reason}"] = left_out.get(f"{split}: {reason}", 0) + 1
    steps = count_steps(config, usable["train"], processes)
    return {
        "name": config.name,
        "settings": config.settings(),
        "precision": precision(config),
        "problems": usable,
        "left_out": left_out,
        "steps": asdict(steps),
    }


def train(
    train_rows: Path,
    validation_rows: Path | None,
    model_path: Path | str,
    out: Path,
    config: TrainConfig,
    *,
    reporter: Reporter,
    overwrite: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> TrainSummary:
    """Train `model_path` (a folder or Hub id) on merged rows and leave a model folder in `out`.

    `out` gets the model and tokenizer, README.md, training.json, trainer_state.json, log_history.json, draws.jsonl
    (which samples were drawn in which epoch) and manifest.json; `facts` go into the card and the manifest.
    Raises UserError for data without a usable problem, a model that can't be loaded, a folder made with other
    settings, and a loss that is not finite.
    """
    started = time.monotonic()
    settings = config.settings() | {
        "model": model_fingerprint(model_path),
        "train": _digest(train_rows),
        "validation": _digest(validation_rows) if validation_rows else None,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),  # they share the batches: another number, another order
    }
    if not overwrite and (out / SUMMARY).exists() and Manifest(out).stage(STAGE).get("settings") == settings:
        reporter.say(f"{config.name}: trained before")
        return replace(_read_summary(out), finished_before=True)
    with quiet_libraries(), ExitStack() as stack:
        tokenizer = _load_tokenizer(model_path)
        data = _tokenize_split(train_rows, tokenizer, config, evaluation=False)
        validation = _tokenize_split(validation_rows, tokenizer, config, evaluation=True) if validation_rows else None
        _tell(data, validation, config, train_rows, reporter)
        args = arguments(config, out / CHECKPOINTS, evaluate=bool(validation and validation.rows))
        with args.main_process_first(local=False):
            resume = _prepare_folder(out, settings, overwrite=overwrite, main=args.process_index == 0)
        label = f"train {config.name}"
        trainer = build_trainer(
            config,
            model_path=str(model_path),
            tokenizer=tokenizer,
            train_rows=data.rows,
            validation_rows=validation.rows if validation else [],
            args=args,
            callbacks=[ProgressCallback(reporter, label, stack), FiniteLossCallback()],
        )
        if resume is not None:
            reporter.say(f"{label}: goes on from step {_checkpoint_step(resume)}")
        _run(trainer, resume, config)
        stack.close()
        save_model(trainer, tokenizer, out, config)
    summary = summarize(
        trainer,
        config,
        data=data,
        validation=validation,
        resumed_from=_checkpoint_step(resume) if resume else None,
        seconds=time.monotonic() - started,
    )
    if trainer.is_world_process_zero():
        save_records(
            trainer,
            out,
            config,
            summary=summary,
            data=data,
            validation=validation,
            model_path=model_path,
            facts=facts or {},
        )
    trainer.accelerator.wait_for_everyone()
    return summary


def _digest(path: Path) -> str:
    if not path.exists():
        raise DataError("no merged data", where=str(path), fix="run `annotate` for this split first")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _load_tokenizer(model_path: Path | str) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(model_path))
    except (OSError, ValueError) as error:
        raise UserError(
            f"can't load the model's tokenizer: {str(error).splitlines()[0]}",
            where=str(model_path),
            fix="--model_path is a built-in name, a folder with a saved model, or a Hub id",
        ) from error
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer


def _tokenize_split(
    path: Path, tokenizer: PreTrainedTokenizerBase, config: TrainConfig, *, evaluation: bool
) -> TokenData:
    return tokenize(
        load_merged(path),
        tokenizer,
        draws=config.draws,
        top_p=config.top_p,
        max_length=config.max_length,
        evaluation=evaluation,
    )


def _tell(
    data: TokenData, validation: TokenData | None, config: TrainConfig, train_rows: Path, reporter: Reporter
) -> None:
    if not data.rows:
        reasons = ", ".join(f"{count} problems: {reason}" for reason, count in data.problems_left_out.items())
        raise UserError(
            f"no problem can be trained on ({reasons or 'the file is empty'})",
            where=str(train_rows),
            fix="sample more (--n_seq, --temp), or choose another --task or a larger max_length",
        )
    if os.environ.get("RANK", "0") != "0":  # one process of `accelerate launch` speaks for all
        return
    reporter.say(f"train: {data.account}")
    if validation is not None:
        reporter.say(f"validation: {validation.account}")
    if config.best_by == "eval_loss" and not (validation and validation.rows):
        reporter.warn("nothing to validate on: the last checkpoint is kept, not the best")


def _prepare_folder(out: Path, settings: Mapping[str, Any], *, overwrite: bool, main: bool) -> Path | None:
    """Refuse a folder of another run, clear it for `overwrite`, and find the checkpoint to go on from."""
    if out.exists() and not (out / "manifest.json").exists() and any(p.name != ".lock" for p in out.iterdir()):
        raise UserError("the folder has files that were not made here", where=str(out), fix="another --save_path")
    if main:
        Manifest(out).begin(STAGE, settings, overwrite=overwrite)
        if overwrite:
            for path in out.iterdir():
                if path.name in (".lock", "manifest.json"):
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
    return _last_checkpoint(out / CHECKPOINTS)


def _last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end: the trainer writes its state last."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        whole.append(path)
    return max(whole, key=_checkpoint_step, default=None)


def _run(trainer: Trainer, resume: Path | None, config: TrainConfig) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the accelerator's memory is full",
            fix=f"batch_size below {config.batch_size} with more gradient_accumulation, gradient_checkpointing: true, "
            "a smaller max_length, or lora",
        ) from error


def _read_summary(out: Path) -> TrainSummary:
    return parse_row(TrainSummary, json.dumps(read_json(out / SUMMARY)), where=str(out / SUMMARY))


def _checkpoint_step(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])
