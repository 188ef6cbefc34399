"""The train stage where the model learns from what it writes meanwhile: problems, writer, judge in; model folder out.

As in training/stage.py a folder is worked on until `training.json` is in it, and the same command goes on from the last
checkpoint; `rewards.jsonl` then keeps what came before that checkpoint, and what was found out about those programs
holds.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from harness.errors import UserError
from harness.fingerprint import model_fingerprint
from harness.progress import Reporter
from harness.prompts import render, token_ids
from harness.records import Problem
from harness.store import AppendFile, Manifest, parse_row, read_json, read_rows, write_atomically, write_rows
from harness.tokenizer import load_tokenizer
from training.callbacks import FiniteLossCallback, ProgressCallback
from training.card import render_card
from training.config import TrainConfig, count_steps
from training.online import OnlineGRPO, OnlineRLOO, build_online_trainer, online_arguments
from training.outputs import CHECKPOINTS, STAGE, SUMMARY, clear_away, run_facts, save_model
from training.quiet import quiet_libraries
from training.rollouts import REWARDS, Judge, RewardRow, RewardSummary, Rollouts, Writer, summarize_rewards
from training.stage import checkpoint_step, prepare_folder, refuse_folder, run_trainer
from training.trainers import precision


@dataclass(frozen=True, slots=True)
class OnlineSummary:
    """What came of an online run; `training.json` in the model folder. There is no loss that says anything."""

    name: str
    optim: str
    steps: int
    epochs: float
    problems: int
    references: int  # problems among them whose completions were compared with a solution
    seconds: float  # of the last session, model loading and saving included
    resumed_from: int | None  # step
    rewards: RewardSummary
    finished_before: bool = False  # this call had nothing to do


@dataclass(frozen=True, slots=True)
class Prompts:
    """The problems that a run trains on, as the model is given them."""

    texts: dict[str, str]  # by task_id: the rendered context
    task_ids: dict[tuple[int, ...], str]  # by its tokens
    too_long: list[str]


def plan_online(problems: int, references: int, config: TrainConfig) -> dict[str, Any]:
    """What `train` would do, without a model: problems before `max_length` is known."""
    return {
        "name": config.name,
        "settings": config.settings(),
        "precision": precision(config),
        "problems": f"{problems}, {references} of them with a solution to compare speed with",
        "a step": f"{config.completions_per_step // config.online.generations} problems × {config.online.generations}",
        "steps": asdict(count_steps(config, problems)),
    }


def train_online(
    problems: Sequence[Problem],
    references: Mapping[str, str],
    model_path: Path | str,
    out: Path,
    config: TrainConfig,
    *,
    writer: Writer,
    judge: Judge,
    reporter: Reporter,
    overwrite: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> OnlineSummary:
    """Train `model_path` (a folder or Hub id) on rewards and leave a model folder in `out`.

    references: by task_id, the completion that a problem's are compared with; known to the judge, too. `out` gets what
    training/stage.py leaves, with rewards.jsonl (one row a completion) in place of draws.jsonl.
    Raises UserError for too few problems, several processes, too many refused completions, and as `train` does.
    """
    started = time.monotonic()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        fix = "start it without `accelerate launch`; several processes can't share one sandbox"
        raise UserError(f"--optim {config.optim} trains in one process", fix=fix)
    settings = config.settings() | {
        "model": model_fingerprint(model_path),
        "problems": _digest([[p.task_id, p.prompt, p.test, p.entry_point] for p in problems]),
        "references": _digest(sorted(references.items())),
    }
    if not overwrite and (out / SUMMARY).exists() and Manifest(out).stage(STAGE).get("settings") == settings:
        reporter.say(f"{config.name}: trained before")
        clear_away(out, config)
        found = parse_row(OnlineSummary, json.dumps(read_json(out / SUMMARY)), where=str(out / SUMMARY))
        return replace(found, finished_before=True)
    with quiet_libraries(), _quiet_refusals(), ExitStack() as stack:
        tokenizer = load_tokenizer(model_path)
        prompts = render_prompts(problems, tokenizer, config)
        _tell(prompts, config, reporter)
        args = online_arguments(config, out / CHECKPOINTS)
        refuse_folder(out, settings, overwrite=overwrite)
        resume = prepare_folder(out, settings, overwrite=overwrite, max_steps=config.max_steps)
        behind = checkpoint_step(resume) if resume else 0
        earlier = [row for row in read_rows(out / REWARDS, RewardRow) if row.step <= behind]
        write_rows(out / REWARDS, earlier)
        file = stack.enter_context(AppendFile(out / REWARDS))
        label = f"train {config.name}"
        trainer = build_online_trainer(
            config,
            model_path=str(model_path),
            tokenizer=tokenizer,
            prompts=prompts.texts,
            rollouts=Rollouts(
                writer,
                judge,
                config.online,
                tokenizer,
                prompts.task_ids,
                earlier=earlier,
                record=file.append,
                where=out / REWARDS,
            ),
            args=args,
            callbacks=[ProgressCallback(reporter, label, stack), FiniteLossCallback()],
        )
        if resume is not None:
            reporter.say(f"{label}: goes on from step {behind}")
        run_trainer(trainer, resume, config)
        stack.close()
        save_model(trainer, tokenizer, out, config)
    summary = OnlineSummary(
        name=config.name,
        optim=config.optim,
        steps=trainer.state.global_step,
        epochs=round(float(trainer.state.epoch or 0), 4),
        problems=len(prompts.texts),
        references=len(references.keys() & prompts.texts.keys()),
        seconds=round(time.monotonic() - started, 1),
        resumed_from=behind or None,
        rewards=summarize_rewards(list(read_rows(out / REWARDS, RewardRow))),
    )
    _save_records(trainer, out, config, summary, prompts, model_path, facts or {})
    return summary


def render_prompts(problems: Sequence[Problem], tokenizer: PreTrainedTokenizerBase, config: TrainConfig) -> Prompts:
    """The contexts of all problems that leave room for a completion of `max_new_tokens` and end-of-text."""
    prompts = Prompts({}, {}, [])
    for problem in problems:
        text = render(problem.prompt, tokenizer).text
        ids = tuple(token_ids(text, tokenizer))
        if len(ids) > config.max_prompt_length or len(ids) + config.online.max_new_tokens + 1 > config.max_length:
            prompts.too_long.append(problem.task_id)
        else:
            prompts.texts[problem.task_id] = text
            prompts.task_ids[ids] = problem.task_id
    return prompts


def _tell(prompts: Prompts, config: TrainConfig, reporter: Reporter) -> None:
    if prompts.too_long:
        reporter.warn(
            f"{len(prompts.too_long)} problems left out: too long for max_prompt_length {config.max_prompt_length}, or "
            f"for max_length {config.max_length} with {config.online.max_new_tokens} new tokens"
        )
    needed = config.completions_per_step // config.online.generations
    if len(prompts.texts) < needed:
        raise UserError(
            f"a step takes {needed} problems (batch_size {config.batch_size} × gradient_accumulation "
            f"{config.gradient_accumulation} / online.generations {config.online.generations}), there are "
            f"{len(prompts.texts)}",
            fix="a smaller batch_size or gradient_accumulation, or more problems",
        )
    reporter.say(f"train: {len(prompts.texts)} problems, {needed} of them × {config.online.generations} a step")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


@contextmanager
def _quiet_refusals() -> Iterator[None]:
    """TRL warns of a completion without a reward by printing it, untrusted text that it is; we count them."""
    loggers = [logging.getLogger(f"trl.trainer.{name}_trainer") for name in ("rloo", "grpo")]
    for logger in loggers:
        logger.addFilter(_not_a_refusal)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_not_a_refusal)


def _not_a_refusal(record: logging.LogRecord) -> bool:
    return "All reward functions returned None" not in record.getMessage()


def _save_records(
    trainer: OnlineRLOO | OnlineGRPO,
    out: Path,
    config: TrainConfig,
    summary: OnlineSummary,
    prompts: Prompts,
    model_path: Path | str,
    facts: Mapping[str, Any],
) -> None:
    """As training/outputs.py: the summary, which says that the folder is finished, comes last."""
    facts = run_facts(trainer, config, facts)
    history = trainer.state.log_history
    write_atomically(out / "log_history.json", json.dumps(history, indent=1) + "\n")
    trainer.state.save_to_json(str(out / "trainer_state.json"))
    data = {"problems": len(prompts.texts), "left out: too long": len(prompts.too_long)}
    card = render_card(
        name=config.name,
        base_model=None if Path(model_path).is_dir() else str(model_path),
        data={"train": data},
        labelling={},
        settings=config.settings(),
        metrics={key: value for key, value in asdict(summary).items() if key != "rewards"} | asdict(summary.rewards),
        log_history=history,
        facts=facts,
    )
    write_atomically(out / "README.md", card)
    Manifest(out).note(STAGE, **facts)
    write_atomically(out / SUMMARY, json.dumps(asdict(summary), indent=2) + "\n")
    clear_away(out, config)
