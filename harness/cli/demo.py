"""`demo`: every stage with a built-in model and data set, sized for two CPU cores and a few minutes.

It shows how the parts work together. A model of 135 million parameters and a few dozen problems prove nothing about the
method; see recipes/ for runs that do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from harness.cli import asked, stages, training
from harness.progress import Reporter

MODEL, NAME = "smollm2-135m", "demo"
MAX_NEW_TOKENS = 80
OPTIMISATIONS = ("sft", "dpo")  # with the settings of recipes/smollm2-135m
# A slice of a known benchmark beside the test split of our own problems. The model solves next to nothing of it.
HUMAN_EVAL_PROBLEMS, HUMAN_EVAL_SAMPLES, HUMAN_EVAL_TOKENS = 16, 4, 128


@dataclass(frozen=True, slots=True)
class Demo:
    """What may be changed about it."""

    root: Path
    n_seq: int
    temp: float
    seed: int
    limit: int | None
    cores: asked.Cores

    def where(self, data: str, *splits: str, limit: int | None = None) -> asked.Where:
        return asked.Where(self.root, NAME, data, splits, limit)

    def drawing(self, n_seq: int, tokens: int) -> asked.Drawing:
        return asked.Drawing(MODEL, n_seq, 1, self.temp, tokens, None, self.seed)


def run(demo: Demo, tell: Reporter, *, overwrite: bool, dry_run: bool) -> None:
    """Sample, annotate, train twice, compare. Running it again goes on where it stopped."""
    begin = time.monotonic()
    how = demo.drawing(demo.n_seq, MAX_NEW_TOKENS)
    learn = demo.where("starter", "train", "validation", limit=demo.limit)

    tell.say(f"1 of 5: draw {demo.n_seq} solutions a problem from {MODEL}")
    stages.sample(learn, how, tell, overwrite=overwrite, dry_run=dry_run)
    tell.say("2 of 5: judge them in the sandbox, time the ones that pass, make training data")
    stages.annotate(learn, demo.seed, demo.cores, tell, overwrite=overwrite, dry_run=dry_run)
    tell.say("3 of 5: train on the fastest solutions (SFT), and go on from there on pairs (DPO)")
    model = MODEL
    for optim in OPTIMISATIONS:
        settings = training.recipe(MODEL, optim)
        if dry_run:
            tell.say(f"train {optim} with {settings}")
            continue
        overrides = {"optim": optim, "seed": demo.seed}
        model = str(training.train(learn, model, settings, overrides, tell, overwrite=overwrite, dry_run=False))
    few = min(HUMAN_EVAL_PROBLEMS, demo.limit or HUMAN_EVAL_PROBLEMS)
    tell.say(f"4 of 5: compare on {few} problems of HumanEval")
    human_eval = demo.where("human_eval", "test", limit=few)
    small = demo.drawing(HUMAN_EVAL_SAMPLES, HUMAN_EVAL_TOKENS)
    stages.evaluate(human_eval, small, None, demo.cores, tell, overwrite=overwrite, dry_run=dry_run)
    tell.say("5 of 5: compare on problems of the starter set that no model was trained on")
    test = demo.where("starter", "test", limit=demo.limit)
    stages.evaluate(test, how, None, demo.cores, tell, overwrite=overwrite, dry_run=dry_run)
    if not dry_run:
        tell.say(f"demo done in {(time.monotonic() - begin) / 60:.1f} min")
