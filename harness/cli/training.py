"""The `train` command: settings from a recipe, a file and options; one model folder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.asked import Cores, Where, plain_name
from harness.cli.tables import plain, print_counts
from harness.errors import UserError
from harness.progress import Reporter, SilentReporter
from harness.storage_errors import storage_errors
from harness.store import locked
from training.processes import first_speaks, is_first, process_count

if TYPE_CHECKING:
    from training.outputs import TrainSummary


def train(
    where: Where,
    model_path: str,
    config_file: Path | None,
    overrides: Mapping[str, Any],
    tell: Reporter,
    *,
    name: str | None = None,
    cores: Cores | None = None,
    overwrite: bool,
    dry_run: bool,
) -> Path:
    """Train one model; its folder. cores: of the sandbox that rewards are found out in.

    Of several processes that train together (`accelerate launch`), the first holds the folder and speaks for all.
    """
    with first_speaks():
        return _train(
            where,
            model_path,
            config_file,
            overrides,
            tell if is_first() else SilentReporter(),
            name=name,
            cores=cores,
            overwrite=overwrite,
            dry_run=dry_run,
        )


def _train(
    where: Where,
    model_path: str,
    config_file: Path | None,
    overrides: Mapping[str, Any],
    tell: Reporter,
    *,
    name: str | None,
    cores: Cores | None,
    overwrite: bool,
    dry_run: bool,
) -> Path:
    from training.config import load_config

    chosen = config_file or recipe(model_path, str(overrides.get("optim") or "sft"))
    config = load_config(chosen, overrides)
    train_rows, validation_rows = (where.paths.datasets(split) / "merged.jsonl" for split in ("train", "validation"))
    if not config.is_online and (overrides.get("online") or cores not in (None, Cores())):
        fix = "--optim rloo or grpo"
        raise UserError("--reward, --cores and --timing_cores are for training on rewards", fix=fix)
    if not config.is_online and not train_rows.exists():
        raise UserError("no training data", where=str(train_rows), fix="run `annotate` for the split train first")
    if chosen is not None and config_file is None:
        tell.say(f"settings: {chosen}")
    out = where.paths.model(plain_name(name or config.name, "--name"))
    if config.is_online:
        from harness.cli.online import train_online

        used = cores or Cores()
        return train_online(where, model_path, config, out, used, tell, overwrite=overwrite, dry_run=dry_run)
    validation = validation_rows if validation_rows.exists() else None
    from harness.sampling.models import resolve_model
    from training.distributed import leave
    from training.stage import plan
    from training.stage import train as fit

    if dry_run:
        planned = plan(train_rows, validation, config, process_count(), _tokenizer_here(model_path))
        if is_first():
            settings = {k: plain(v) for k, v in planned.pop("settings").items()}
            print_counts(f"train {config.name} into {out}", {k: plain(v) for k, v in planned.items()})
            print_counts("Settings", settings)
        return out
    with ExitStack() as stack:
        if is_first():
            stack.enter_context(locked(out))
        model = resolve_model(model_path, tell)
        facts = {"model_path": model_path, "data_path": where.data_path}
        with storage_errors(out):
            summary = fit(train_rows, validation, model, out, config, reporter=tell, overwrite=overwrite, facts=facts)
    leave()
    if is_first():
        _show(summary, out, tell)
    return out


def _show(summary: TrainSummary, out: Path, tell: Reporter) -> None:
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


def _tokenizer_here(model_path: str) -> Any:
    """The model's tokenizer if it is on this machine; None, and nothing downloaded or converted, otherwise."""
    from harness.sampling.models import BUILTIN_MODELS, cache_folder
    from harness.tokenizer import load_tokenizer

    place = cache_folder() / model_path if model_path in BUILTIN_MODELS else model_path
    with suppress(UserError):
        return load_tokenizer(place, download=False)
    return None


def recipe(model: str, optim: str) -> Path | None:
    """The settings that come with the project for a built-in model."""
    path = Path(__file__).resolve().parents[2] / "recipes" / model / f"{optim}.yaml"
    return path if "/" not in model and path.exists() else None
