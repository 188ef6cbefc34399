"""The model card: what was trained on what, with which settings, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

PAPER = "https://arxiv.org/abs/2406.12502"
METHODS = {
    "sft": "supervised fine-tuning on the fastest of its own solutions that pass their tests",
    "dpo": "direct preference optimisation on pairs of its own solutions",
    "rloo": "reinforcement learning (RLOO) on solutions that it wrote, and that were judged, while it was trained",
    "grpo": "reinforcement learning (GRPO) on solutions that it wrote, and that were judged, while it was trained",
}
PAIRS = {
    "qvs": "a solution over a slower one, where both pass their tests and the order of their run times is decided",
    "pvf": "a solution that passes its tests over one that fails them",
    "all": "a solution that passes its tests over one that is decided to be slower, or that fails",
    "qvs_released": "the published draw: a solution over any later one of a list that ends with the failing ones, so "
    "that most of the rejected ones fail",
}
USE = """For research on code generation: completing Python functions from a signature and a docstring, prompted as the
model it was trained from.

- What it writes is untrusted: run it in a sandbox only, and test it before use.
- It learnt from solutions to small, self-contained problems, judged by a few tests each. Nothing is claimed about other
  tasks, other languages, or whether code is secure.
- "Fast" is CPU time of CPython on the machine that measured it, on the inputs of the tests; other inputs, versions and
  machines may order solutions otherwise.
- The losses below say how well it fits its data, not whether it is better: compare it with its base model
  (`code-optimise eval`).
- The licence and the limits of its base model, and of the data, go on to it."""


def render_card(
    *,
    name: str,
    base_model: str | None,
    data: Mapping[str, Mapping[str, Any]],
    labelling: Mapping[str, Any],
    settings: Mapping[str, Any],
    metrics: Mapping[str, Any],
    log_history: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> str:
    """README.md for a model folder, with the header that the Hub reads.

    `base_model` is a Hub id or None (a path of this machine says nothing to others). `data` has for each split what is
    in it and what was left out; `labelling` is the summary.json beside the training data, or empty. `log_history` is
    the trainer's.
    """
    header: dict[str, Any] = {"library_name": "transformers", "tags": ["code", "code-optimise", "trl"]}
    header["pipeline_tag"] = "text-generation"
    if base_model:
        header["base_model"] = base_model
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---",
        f"# {name}",
        f"A code model after {METHODS[settings['optim']]} (Code-Optimise, {PAPER}).",
        "## Use and limits\n\n" + USE,
        "## Data\n\n" + "\n\n".join(f"**{split}**\n\n{_table(_flat(facts))}" for split, facts in data.items()),
        "## How it was labelled\n\n" + _labelling(labelling),
    ]
    if lines := list(drawn(settings)):
        parts.append("## What was drawn\n\n" + "\n".join(f"- {line}" for line in lines))
    parts.append("## Result\n\n" + _table(metrics))
    evaluations = [entry for entry in log_history if "eval_loss" in entry]
    if evaluations:
        lines = [f"| {entry['epoch']:.2f} | {entry['step']} | {entry['eval_loss']:.4f} |" for entry in evaluations]
        parts.append("## Validation loss\n\n| epoch | step | loss ↓ |\n|---:|---:|---:|\n" + "\n".join(lines))
    parts.append("## Settings\n\n" + _table(_flat(settings)))
    if facts:
        parts.append("## Facts about the run\n\n" + _table(_flat(facts)))
    return "\n\n".join(parts) + "\n"


def drawn(settings: Mapping[str, Any]) -> Iterator[str]:
    """In words, what a problem gave at a visit. `settings` are those of TrainConfig.settings()."""
    if settings["optim"] in ("rloo", "grpo"):
        yield f"{settings['online']['generations']} completions of its own, written by the model as it was then."
        return
    if settings["optim"] == "sft":
        yield f"A solution among the fastest {settings['top_p']:g}% that pass; those not told apart share their places."
    elif settings["optim"] == "dpo":
        yield f"A pair: {PAIRS[settings['task']]}."
    else:
        return
    if "confirmed" in settings:
        seen = "was seen again in rounds measured later" if settings["confirmed"] else "is decided, seen again or not"
        yield f"Of decided pairs, those whose order {seen} (`confirmed`)."
        if settings["min_ratio"] > 0:
            yield f"Of these, those with an interval of the ratio that begins at {settings['min_ratio']:g} or above."
        weighed = settings["weigh_by"] == "confidence"
        share = "in proportion to the logarithm of that interval's lower end" if weighed else "all alike"
        yield f"Decided pairs of a problem weigh {share} (`weigh_by`)."
    yield "Drawn anew in every epoch." if settings["augment"] else "Drawn once, and kept for the whole run."


def _labelling(summary: Mapping[str, Any]) -> str:
    """What merging counted, as far as it is on record."""
    if not summary:
        return "Not on record: there was no summary.json beside the training data."
    settings = summary.get("settings", {})
    shown = {
        "timing method": settings.get("method"),
        "problems given": summary.get("problems"),
        **{f"solutions, {key}": value for key, value in summary.get("solutions", {}).items()},
        **{f"comparisons, {key}": value for key, value in summary.get("comparisons", {}).items()},
        "share of comparisons undecided": summary.get("undecided_share"),
        **{f"pairs, {key}": value for key, value in summary.get("pairs", {}).items()},
        **_flat({key: value for key, value in settings.items() if key != "method"}),
    }
    text = "Passing and failing by the problems' tests, in a sandbox; distinct passing solutions were timed there, too."
    return f"{text} Of the training split:\n\n" + _table(
        {key: value for key, value in shown.items() if value is not None}
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{a: {b: 1}}` as `{"a: b": 1}`: one row of a table for each value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}: {key}" if prefix else str(key)
        flat |= _flat(value, name) if isinstance(value, Mapping) else {name: value}
    return flat


def _table(values: Mapping[str, Any]) -> str:
    lines = [f"| {_cell(key)} | {_cell(value)} |" for key, value in values.items()]
    return "| | |\n|---|---|\n" + "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
