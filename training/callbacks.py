"""What happens at the trainer's events: the epoch of the draws, progress, and stopping a run that has gone wrong."""

from __future__ import annotations

import math
from contextlib import ExitStack

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.errors import UserError
from harness.progress import Reporter, Task
from training.collators import Selection


class EpochCallback(TrainerCallback):
    """Tells the draws which epoch it is, also in the epoch that a resumed run goes on with."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        # At the last step of an epoch state.epoch is that epoch's number plus one, but for rounding.
        self._selection.epoch = round_epoch(state.epoch)


def round_epoch(epoch: float | None) -> int:
    """The number of epochs that are behind, from the trainer's fraction (a sum of floats: 2.9999999999999996 is 3)."""
    return math.floor((epoch or 0.0) + 1e-6)


class ProgressCallback(TrainerCallback):
    """Steps, rate, time left and the latest loss, on our own progress display."""

    def __init__(self, reporter: Reporter, label: str, stack: ExitStack) -> None:
        self._reporter, self._label, self._stack = reporter, label, stack
        self._task: Task | None = None
        self._note = ""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if state.is_world_process_zero:
            task = self._reporter.task(self._label, state.max_steps, done=state.global_step, unit="steps")
            self._task = self._stack.enter_context(task)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        if self._task is not None:
            self._task.advance(1, self._note)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        shown = (("loss", "loss"), ("eval_loss", "validation loss"), ("rewards/accuracies", "accuracy"))
        parts = [f"{name} {float(logs[key]):.4g}" for key, name in shown if logs and key in logs]
        self._note = ", ".join(parts) or self._note


class FiniteLossCallback(TrainerCallback):
    """Ends the run at the first loss that is not a number: nothing good comes of the steps after it."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise UserError(
                f"the loss is {loss} at step {state.global_step}",
                where=str(args.output_dir),
                fix="a lower learning_rate, a longer warmup, or precision: bf16 or fp32; then --overwrite",
            )
