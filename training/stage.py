"""The train stage: merged data and a model in, a model folder out.

A folder is worked on until `training.json` is in it. Before that, the same command goes on from the last whole
checkpoint; after that, it has nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, Trainer

from harness.errors import DataError, UserError
from harness.fingerprint import model_fingerprint
from harness.progress import Reporter
from harness.store import Manifest, parse_row, read_json
from harness.tokenizer import load_tokenizer
from training.audit import TOKENS, SeenFile, audit
from training.callbacks import FiniteLossCallback, ProgressCallback
from training.config import TrainConfig, count_steps
from training.dataset import Account, Encoder, Limits, TokenData, open_tokens, read_merged
from training.distributed import TIMEOUT_SECONDS, agree, from_first, join, seen_by_all
from training.outputs import (
    CHECKPOINTS,
    STAGE,
    SUMMARY,
    TrainSummary,
    clear_away,
    save_model,
    save_records,
    summarize,
)
from training.processes import is_first, launched, process_count, process_index
from training.quiet import quiet_libraries
from training.survey import nothing_to_train_on, survey, why_no_pairs
from training.trainers import arguments, build_trainer, on_cpu, precision


def plan(
    train_rows: Path,
    validation_rows: Path | None,
    config: TrainConfig,
    processes: int = 1,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> dict[str, Any]:
    """What `train` would do, without the model: settings, usable problems and pairs, and steps.

    With the model's tokenizer the numbers are those of the run; without, `max_length` may leave out more.
    """
    splits = {"train": train_rows} | ({"validation": validation_rows} if validation_rows else {})
    surveys = {split: survey(read_merged(path), config) for split, path in splits.items()}
    problems = {split: found.problems for split, found in surveys.items()}
    left_out = {f"{split}: {why}": count for split, found in surveys.items() for why, count in found.left_out.items()}
    if tokenizer is not None:
        for split, path in splits.items():
            account = _encoder(tokenizer, config, evaluation=split == "validation").count(read_merged(path))
            problems[split] = account.problems
            left_out |= {f"{split}: {why}": count for why, count in account.problems_left_out.items()}
            left_out |= {f"{split} answers: {why}": count for why, count in account.answers_left_out.items()}
    return {
        "name": config.name,
        "settings": config.model_dump(mode="json"),
        "precision": precision(config),
        "problems": problems,
        "pairs": {f"{split}, {left.condition}": str(left) for split, found in surveys.items() for left in found.pairs},
        "left_out": left_out,
        "steps": asdict(count_steps(config, problems["train"], processes)),
        "exact": "yes" if tokenizer is not None else "no: the model's tokenizer is not on this machine",
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
    (which samples were drawn in which epoch) and manifest.json; with `audit` also tokens/ and seen-<rank>.jsonl.
    `facts` go into the card and the manifest.
    Raises UserError for data without a usable problem, a model that can't be loaded, a folder made with other
    settings, and a loss that is not finite.
    """
    started = time.monotonic()
    digests = {"train": _digest(train_rows), "validation": _digest(validation_rows) if validation_rows else None}
    settings = config.settings() | {"model": model_fingerprint(model_path), **digests, **launched()}
    join(cpu=on_cpu(config), timeout_seconds=float(config.trainer.get("ddp_timeout", TIMEOUT_SECONDS)))
    agree(settings | {"precision": precision(config)})
    if from_first(lambda: not overwrite and _finished(out, settings)):
        reporter.say(f"{config.name}: trained before")
        from_first(lambda: clear_away(out, config))
        return replace(_read_summary(out), finished_before=True)
    with quiet_libraries(), ExitStack() as stack:
        evaluate = _look_over(train_rows, validation_rows, config, reporter)
        tokenizer = load_tokenizer(model_path)
        args = arguments(config, out / CHECKPOINTS, evaluate=evaluate)
        from_first(lambda: refuse_folder(out, settings, overwrite=overwrite))
        data = _tokens(train_rows, out, _encoder(tokenizer, config, evaluation=False))
        validation = None
        if validation_rows and evaluate:
            validation = _tokens(validation_rows, out, _encoder(tokenizer, config, evaluation=True))
        resume = from_first(
            lambda: prepare_folder(out, settings, overwrite=overwrite, max_steps=config.max_steps)
        )
        label = f"train {config.name}"
        if is_first():
            _tell(data, validation, f"{label}: goes on from step {checkpoint_step(resume)}" if resume else "", reporter)
        seen = SeenFile(out, process_index()) if config.audit else None
        trainer = build_trainer(
            config,
            model_path=str(model_path),
            tokenizer=tokenizer,
            train_rows=data.rows,
            validation_rows=validation.rows if validation else None,
            args=args,
            callbacks=[ProgressCallback(reporter, label, stack), FiniteLossCallback()],
            seen=seen,
        )
        run_trainer(trainer, resume, config)
        stack.close()
        if seen is not None:
            seen.close()
        save_model(trainer, tokenizer, out, config)
        trainer.accelerator.wait_for_everyone()
    summary = summarize(
        trainer,
        config,
        data=data,
        validation=validation,
        resumed_from=checkpoint_step(resume) if resume else None,
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
            digests=digests,
            labelling=_labelling(train_rows),
            model_path=model_path,
            facts=facts or {},
        )
        if config.audit:
            reporter.say(f"audit: {audit(out)}")
    trainer.accelerator.wait_for_everyone()
    return summary


def _tell(data: TokenData, validation: TokenData | None, resumed: str, reporter: Reporter) -> None:
    reporter.say(f"train: {data.account}")
    reporter.say(f"validation: {validation.account if validation else 'nothing'}")
    if resumed:
        reporter.say(resumed)


def _labelling(train_rows: Path) -> dict[str, Any]:
    """The summary that merging left beside the training data, if there is one."""
    path = train_rows.with_name("summary.json")
    return read_json(path) if path.exists() else {}


def _encoder(tokenizer: PreTrainedTokenizerBase, config: TrainConfig, *, evaluation: bool) -> Encoder:
    limits = Limits(whole=config.max_length, prompt=config.max_prompt_length)
    return Encoder(tokenizer, config.draws, config.top_p, limits, config.rule, evaluation)


def _digest(path: Path) -> str:
    if not path.exists():
        raise DataError("no merged data", where=str(path), fix="run `annotate` for this split first")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _look_over(train_rows: Path, validation_rows: Path | None, config: TrainConfig, reporter: Reporter) -> bool:
    """Whether there is something to validate on; UserError where there is nothing to train on."""
    found = survey(read_merged(train_rows), config)
    if not found.problems:
        raise nothing_to_train_on(found, str(train_rows))
    usable = survey(read_merged(validation_rows), config).problems if validation_rows else 0
    if is_first():
        what, fix = why_no_pairs(found.pairs)
        if what:
            reporter.warn(f"only pairs with failing answers are drawn: {what} (to change that: {fix})")
        if config.best_by == "eval_loss" and not usable:
            reporter.warn("nothing to validate on: the last checkpoint is kept, not the best")
    return usable > 0


def _tokens(rows: Path, out: Path, encoder: Encoder) -> TokenData:
    """The split's tokens, in `out`: the first process writes them for all."""
    path = out / TOKENS / ("validation.arrow" if encoder.evaluation else "train.arrow")
    account = from_first(lambda: _write_tokens(rows, out, path, encoder))
    seen_by_all(path)
    return TokenData(open_tokens(path), account)


def _write_tokens(rows: Path, out: Path, path: Path, encoder: Encoder) -> Account:
    account = encoder.write(read_merged(rows), path)
    if not account.problems:
        _remove_tokens(out)
        raise UserError(
            f"no problem can be used ({account})", where=str(rows), fix="a larger max_length or max_prompt_length"
        )
    return account


def _remove_tokens(out: Path) -> None:
    """Leave no trace in a folder that nothing else was written to."""
    shutil.rmtree(out / TOKENS, ignore_errors=True)
    with suppress(OSError):  # not empty: it is somebody's
        out.rmdir()


def refuse_folder(out: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Raise UserError for a folder with files of others, or made with other settings. Changes nothing."""
    manifest = out / "manifest.json"
    if out.exists() and not manifest.exists() and any(p.name not in (".lock", TOKENS.name) for p in out.iterdir()):
        raise UserError("the folder has files that were not made here", where=str(out), fix="another --save_path")
    if not overwrite and manifest.exists() and Manifest(out).stage(STAGE):
        Manifest(out).begin(STAGE, settings)


def prepare_folder(
    out: Path, settings: Mapping[str, Any], *, overwrite: bool, max_steps: int | None = None
) -> Path | None:
    """Record the settings, clear the folder for `overwrite`, and find the checkpoint to go on from.

    Not from one of the last step, where `max_steps` ends the run: within an epoch the trainer would make one more.
    """
    Manifest(out).begin(STAGE, settings, overwrite=overwrite)
    if overwrite:
        for path in out.iterdir():
            if path.name in (".lock", "manifest.json", TOKENS.name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return _last_checkpoint(out / CHECKPOINTS, max_steps)


def _last_checkpoint(folder: Path, before: int | None) -> Path | None:
    """The newest checkpoint that was written to its end, of a step below `before`.

    Each process writes its random state after its part of all else; the first then writes the trainer's state.
    """
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            json.loads((path / "trainer_state.json").read_text())
        except (OSError, ValueError):
            continue
        if len(list(path.glob("rng_state*.pth"))) == process_count():
            whole.append(path)
    whole = [path for path in whole if before is None or checkpoint_step(path) < before]
    return max(whole, key=checkpoint_step, default=None)


def run_trainer(trainer: Trainer, resume: Path | None, config: TrainConfig) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the accelerator's memory is full",
            fix=f"batch_size below {config.batch_size} with more gradient_accumulation, gradient_checkpointing: true, "
            "a smaller max_length, or lora",
        ) from error


def _finished(out: Path, settings: Mapping[str, Any]) -> bool:
    return (out / SUMMARY).exists() and Manifest(out).stage(STAGE).get("settings") == settings


def _read_summary(out: Path) -> TrainSummary:
    return parse_row(TrainSummary, json.dumps(read_json(out / SUMMARY)), where=str(out / SUMMARY))


def checkpoint_step(path: Path) -> int:
    return int(path.name.rsplit("-", 1)[1])
