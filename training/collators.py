"""Batches whose answers or pairs are drawn at the moment they are needed (dynamic solution selection).

TRL's own collators do the padding. Loss is on the answer and its EOS only, by position: padding with EOS is safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from training.dataset import TokenRow, row_pool
from training.selection import Task, draw_answer, draw_pair, generator

IGNORED = -100  # the label of a token that carries no loss
REFERENCE_KEYS = ("ref_chosen_logps", "ref_rejected_logps")  # columns that precompute_ref_log_probs adds


@dataclass
class Selection:
    """How draws are made, and the epoch they are made for; a callback moves `epoch` (training/callbacks.py)."""

    seed: int
    top_p: float
    task: Task
    augment: bool
    epoch: int = 0

    def answer(self, row: TokenRow) -> int:
        """The position of the answer to imitate."""
        if row["fixed"]:
            return row["fixed"][0]
        return draw_answer(row_pool(row), self.top_p, generator(self.seed, self._visit, row["task_id"]))

    def pair(self, row: TokenRow) -> tuple[int, int]:
        """The positions of the chosen and the rejected answer."""
        if row["fixed"]:
            return row["fixed"][0], row["fixed"][1]
        return draw_pair(row_pool(row), self.task, generator(self.seed, self._visit, row["task_id"]))

    @property
    def _visit(self) -> int:
        # Without augmentation every epoch sees the draw of epoch 0: the same distribution, drawn once.
        return self.epoch if self.augment else 0


@dataclass
class AnswerCollator(DataCollatorForLanguageModeling):
    """SFT batches `{input_ids, labels, attention_mask}`, each [problems, tokens], from TokenRows."""

    selection: Selection | None = None

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        assert self.selection is not None
        drawn = []
        for row in examples:
            k = self.selection.answer(_token_row(row))
            sequence, start = row["sequences"][k], row["starts"][k]
            drawn.append({"input_ids": sequence, "labels": [IGNORED] * start + sequence[start:]})
        batch: dict[str, Any] = super().torch_call(drawn)
        return batch


@dataclass
class PairCollator(DataCollatorForPreference):
    """DPO batches `{input_ids, attention_mask, completion_mask}`, each [2 problems, tokens]: chosen, then rejected.

    The contexts of a pair's two answers may differ (harness.prompts), so TRL is given whole sequences, and the mask
    is taken off the contexts afterwards.
    """

    selection: Selection | None = None

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        assert self.selection is not None
        pairs = [self.selection.pair(_token_row(row)) for row in examples]
        drawn = []
        for row, (chosen, rejected) in zip(examples, pairs, strict=True):
            sequences = {"chosen_ids": row["sequences"][chosen], "rejected_ids": row["sequences"][rejected]}
            reference = {key: value for key, value in row.items() if key in REFERENCE_KEYS}
            drawn.append({"prompt_ids": [], **sequences, **reference})
        batch: dict[str, Any] = super().torch_call(drawn)
        starts = [row["starts"][pair[side]] for side in (0, 1) for row, pair in zip(examples, pairs, strict=True)]
        for line, start in enumerate(starts):
            batch["completion_mask"][line, :start] = 0
        return batch


def _token_row(row: dict[str, Any]) -> TokenRow:
    return TokenRow(
        task_id=row["task_id"],
        sequences=row["sequences"],
        starts=row["starts"],
        tiers=row["tiers"],
        decided=row["decided"],
        fixed=row["fixed"],
    )
