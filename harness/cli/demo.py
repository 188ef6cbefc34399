"""`demo`: every stage with a built-in model and data set, sized for two CPU cores and a few minutes.

It shows how the parts work together. A model of 135 million parameters and a few dozen problems prove nothing about the
method; see recipes/ for runs that do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cli import stages
from harness.progress import Reporter

MODEL, DATA, NAME = "smollm2-135m", "starter", "demo"
MAX_NEW_TOKENS = 80
# Larger steps than the published 5e-7, which would not move a model in so few of them.
TRAINING: dict[str, Any] = {
    "epochs": 3,
    "learning_rate": 2e-5,
    "batch_size": 2,
    "gradient_accumulation": 4,
    "max_length": 512,
    "gradient_checkpointing": False,
    "best_by": "none",
    "checkpoint_every": "never",
}
RUNS: tuple[dict[str, Any], ...] = ({"optim": "sft", "top_p": 25.0}, {"optim": "dpo", "task": "all"})


@dataclass(frozen=True, slots=True)
class Demo:
    """What may be changed about it."""

    root: Path
    n_seq: int
    temp: float
    seed: int
    limit: int | None
    cores: list[int] | None


def run(demo: Demo, tell: Reporter, *, overwrite: bool, dry_run: bool) -> None:
    """Sample, annotate, train twice, compare. Running it again goes on where it stopped."""
    begin = time.monotonic()
    how = stages.Drawing(MODEL, demo.n_seq, 1, demo.temp, MAX_NEW_TOKENS, None, demo.seed)
    learn = stages.Where(demo.root, NAME, DATA, ("train", "validation"), demo.limit)
    test = stages.Where(demo.root, NAME, DATA, ("test",), demo.limit)

    tell.say(f"1 of 4: draw {demo.n_seq} solutions a problem from {MODEL}")
    stages.sample(learn, how, tell, overwrite=overwrite, dry_run=dry_run)
    tell.say("2 of 4: judge them in the sandbox, time the ones that pass, make training data")
    stages.annotate(learn, demo.seed, demo.cores, tell, overwrite=overwrite, dry_run=dry_run)
    tell.say("3 of 4: train on the fastest solutions (SFT) and on pairs (DPO)")
    for settings in RUNS:
        if dry_run:
            tell.say(f"train {settings} with {TRAINING}")
            continue
        overrides = TRAINING | settings | {"seed": demo.seed}
        stages.train(learn, MODEL, None, overrides, tell, overwrite=overwrite, dry_run=False)
    tell.say("4 of 4: draw from both models and the base on other problems, judge, time side by side")
    stages.evaluate(test, how, None, demo.cores, tell, overwrite=overwrite, dry_run=dry_run)
    if not dry_run:
        tell.say(f"demo done in {(time.monotonic() - begin) / 60:.1f} min")
