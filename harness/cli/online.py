"""`train --optim rloo` and `grpo`: the model learns from what it writes meanwhile; this needs problems and sandbox."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.asked import Cores, Where
from harness.cli.tables import pairs_of_words, plain, print_counts
from harness.progress import Reporter
from harness.records import MergedRow, Problem
from harness.storage_errors import storage_errors
from harness.store import locked, read_rows

if TYPE_CHECKING:
    from training.config import TrainConfig

TRAIN = "train"


def train_online(
    where: Where,
    model_path: str,
    config: TrainConfig,
    out: Path,
    cores: Cores,
    tell: Reporter,
    *,
    overwrite: bool,
    dry_run: bool,
) -> Path:
    """Train one model on rewards; its folder."""
    problems = replace(where, splits=(TRAIN,)).problems().get(TRAIN, [])
    references = _references(where, problems, config, tell)
    from training.online_stage import plan_online

    if dry_run:
        planned = plan_online(len(problems), len(references), config)
        print_counts(f"train {config.name} into {out}", {k: plain(v) for k, v in planned.items() if k != "settings"})
        print_counts("Settings", {k: plain(v) for k, v in planned["settings"].items()})
        return out
    _fit(where, model_path, config, out, cores, tell, problems, references, overwrite=overwrite)
    tell.say(f"model: {out}")
    return out


def _fit(
    where: Where,
    model_path: str,
    config: TrainConfig,
    out: Path,
    cores: Cores,
    tell: Reporter,
    problems: list[Problem],
    references: dict[str, str],
    *,
    overwrite: bool,
) -> None:
    from harness.reward.judging import JudgeSettings, sandbox_judge
    from harness.sampling.live import LiveWriter
    from harness.sampling.models import resolve_model
    from harness.sampling.settings import SamplingSettings
    from training.online_stage import train_online as fit

    online = config.online
    sampling = SamplingSettings(
        n_seq=online.generations,
        temperature=online.temperature,
        max_new_tokens=online.max_new_tokens,
        seed=config.seed,
    )
    judging = JudgeSettings(online.reward == "speed", online.rounds, online.timing_seconds, config.seed)
    by_id = {problem.task_id: problem for problem in problems}
    with (
        locked(out),
        storage_errors(out),
        sandbox_judge(
            by_id, references, judging, folder=out, cores=cores.all, timing_cores=cores.timing, reporter=tell
        ) as judge,
    ):
        summary = fit(
            problems,
            references,
            resolve_model(model_path, tell),
            out,
            config,
            writer=LiveWriter({task_id: problem.prompt for task_id, problem in by_id.items()}, sampling),
            judge=judge,
            reporter=tell,
            overwrite=overwrite,
            facts={"model_path": model_path, "data_path": where.data_path, "sandbox_image": judge.image},
        )
    rewards = summary.rewards
    print_counts(
        f"Trained {summary.name}",
        {
            "steps": f"{summary.steps} ({summary.epochs:g} epochs)",
            "problems": f"{summary.problems}, {summary.references} of them with a solution to compare speed with",
            "completions": f"{rewards.completions}, {rewards.programs} distinct programs",
            "mean reward": f"{_shown(rewards.first_reward)} at first, {_shown(rewards.last_reward)} at last",
            "passing": f"{_shown(rewards.first_passing)} at first, {_shown(rewards.last_passing)} at last",
            "refused": pairs_of_words(rewards.refused) or "none",
        },
    )


def _references(where: Where, problems: list[Problem], config: TrainConfig, tell: Reporter) -> dict[str, str]:
    """By task_id, the completion that speed is compared with; empty where only passing counts."""
    from harness.reward.rule import reference_answer

    if config.online.reward == "pass":
        return {}
    merged = where.paths.datasets(TRAIN) / "merged.jsonl"
    wanted = {problem.task_id for problem in problems}
    references = {
        row.id: answer.text
        for row in read_rows(merged, MergedRow)
        if row.id in wanted and (answer := reference_answer(row, config.online.reference)) is not None
    }
    if not references:
        tell.warn(f"no solution to compare speed with in {merged}: only passing is rewarded (`annotate` makes it)")
    return references


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
