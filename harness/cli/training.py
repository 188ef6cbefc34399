"""The `train` command: settings from a recipe, a file and options; one model folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.cli.asked import Where, plain_name
from harness.cli.tables import print_counts
from harness.errors import UserError
from harness.progress import Reporter
from harness.store import locked


def train(
    where: Where,
    model_path: str,
    config_file: Path | None,
    overrides: Mapping[str, Any],
    tell: Reporter,
    *,
    name: str | None = None,
    overwrite: bool,
    dry_run: bool,
) -> Path:
    """Train one model; its folder."""
    from training.config import load_config

    train_rows, validation_rows = (where.paths.datasets(split) / "merged.jsonl" for split in ("train", "validation"))
    if not train_rows.exists():
        raise UserError("no training data", where=str(train_rows), fix="run `annotate` for the split train first")
    if config_file is None:
        config_file = recipe(model_path, str(overrides.get("optim") or "sft"))
        if config_file is not None:
            tell.say(f"settings: {config_file}")
    config = load_config(config_file, overrides)
    validation = validation_rows if validation_rows.exists() else None
    from harness.sampling.models import resolve_model
    from training.stage import plan
    from training.stage import train as fit

    out = where.paths.model(plain_name(name or config.name, "--name"))
    if dry_run:
        planned = plan(train_rows, validation, config)
        print_counts(f"train {config.name} into {out}", {k: _plain(v) for k, v in planned.items() if k != "settings"})
        print_counts("Settings", {k: _plain(v) for k, v in planned["settings"].items()})
        return out
    with ExitStack() as stack:
        if os.environ.get("RANK", "0") == "0":  # of several processes that train together, the first holds the folder
            stack.enter_context(locked(out))
        model = resolve_model(model_path, tell)
        facts = {"model_path": model_path, "data_path": where.data_path}
        summary = fit(train_rows, validation, model, out, config, reporter=tell, overwrite=overwrite, facts=facts)
    losses = {"first loss": summary.first_loss, "last loss": summary.last_loss, "validation loss": summary.eval_loss}
    print_counts(
        f"Trained {summary.name}",
        {
            "steps": f"{summary.steps} ({summary.epochs:g} epochs)",
            "problems": f"{summary.problems}, {summary.validation_problems} to validate on",
            **{name: "–" if loss is None else f"{loss:.4f}" for name, loss in losses.items()},
            "kept": f"step {summary.kept_step}",
        },
    )
    tell.say(f"model: {out}")
    return out


def recipe(model: str, optim: str) -> Path | None:
    """The settings that come with the project for a built-in model."""
    path = Path(__file__).resolve().parents[2] / "recipes" / model / f"{optim}.yaml"
    return path if "/" not in model and path.exists() else None


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items()) or "none"
    return str(value)
