"""The model card: what was trained on what, with which settings, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

PAPER = "https://arxiv.org/abs/2406.12502"


def render_card(
    *,
    name: str,
    base_model: str | None,
    data: Mapping[str, str],
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    log_history: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> str:
    """README.md for a model folder, with the header that the Hub reads.

    `base_model` is a Hub id or None (a path of this machine says nothing to others). `log_history` is the trainer's.
    """
    header: dict[str, Any] = {"library_name": "transformers", "tags": ["code", "code-optimise", "trl"]}
    header["pipeline_tag"] = "text-generation"
    if base_model:
        header["base_model"] = base_model
    method = "supervised fine-tuning on its own fastest solutions"
    if settings.get("optim") == "dpo":
        method = "direct preference optimisation on pairs of its own solutions"
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
        f"# {name}",
        f"A code model after {method} (Code-Optimise, {PAPER}).",
        "## Data\n\n" + _table(data),
        "## Result\n\n" + _table(metrics),
        "## Settings\n\n" + _table(settings),
    ]
    evaluations = [entry for entry in log_history if "eval_loss" in entry]
    if evaluations:
        lines = [f"| {entry['epoch']:.2f} | {entry['step']} | {entry['eval_loss']:.4f} |" for entry in evaluations]
        parts.append("## Validation loss\n\n| epoch | step | loss ↓ |\n|---:|---:|---:|\n" + "\n".join(lines))
    if facts:
        parts.append("## Facts about the run\n\n" + _table(facts))
    return "\n\n".join(parts) + "\n"


def _table(values: Mapping[str, Any]) -> str:
    lines = [f"| {_cell(key)} | {_cell(value)} |" for key, value in values.items()]
    return "| | |\n|---|---|\n" + "\n".join(lines)


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
