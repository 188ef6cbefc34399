"""Batches whose answers or pairs are drawn at the moment they are needed (dynamic solution selection).

TRL's own collators do the padding. Loss is on the answer and its EOS only, by position: padding with EOS is safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from training.dataset import TokenRow, row_pool, sequence
from training.selection import Task, draw_answer, draw_pair, generator

IGNORED = -100  # the label of a token that carries no loss
REFERENCE_KEYS = ("ref_chosen_logps", "ref_rejected_logps")  # columns that precompute_ref_log_probs adds
DRAWN = "drawn"  # in a batch for an audited run: what each of its rows is; the trainer takes it out again


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
        if len(row["fixed"]):
            return int(row["fixed"][0])
        return draw_answer(row_pool(row), self.top_p, generator(self.seed, self._visit, row["task_id"]))

    def pair(self, row: TokenRow) -> tuple[int, int]:
        """The positions of the chosen and the rejected answer."""
        if len(row["fixed"]):
            return int(row["fixed"][0]), int(row["fixed"][1])
        return draw_pair(row_pool(row), self.task, generator(self.seed, self._visit, row["task_id"]))

    @property
    def _visit(self) -> int:
        # Without augmentation every epoch sees the draw of epoch 0: the same distribution, drawn once.
        return self.epoch if self.augment else 0

    def said_of(self, row: TokenRow, drawn: tuple[int, ...]) -> dict[str, Any]:
        """A draw as it stands on record: the epoch, the problem, and which sample was drawn as what."""
        names = ("answer",) if len(drawn) == 1 else ("chosen", "rejected")
        samples = {name: int(row["samples"][k]) for name, k in zip(names, drawn, strict=True)}
        return {"epoch": self.epoch, "task_id": str(row["task_id"]), **samples}


@dataclass
class AnswerCollator(DataCollatorForLanguageModeling):
    """SFT batches `{input_ids, labels, attention_mask}`, each [problems, tokens], from TokenRows.

    With `audit`, training batches also say what was drawn (DRAWN).
    """

    selection: Selection | None = None
    audit: bool = False

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        assert self.selection is not None
        rows = [cast(TokenRow, example) for example in examples]
        positions = [self.selection.answer(row) for row in rows]
        drawn = []
        for row, k in zip(rows, positions, strict=True):
            ids, start = sequence(row, k), int(row["starts"][k])
            drawn.append({"input_ids": ids, "labels": [IGNORED] * start + ids[start:]})
        batch: dict[str, Any] = super().torch_call(drawn)
        if self.audit and not len(rows[0]["fixed"]):
            batch[DRAWN] = [self.selection.said_of(row, (k,)) for row, k in zip(rows, positions, strict=True)]
        return batch


@dataclass
class PairCollator(DataCollatorForPreference):
    """DPO batches `{input_ids, attention_mask, completion_mask}`, each [2 problems, tokens]: chosen, then rejected.

    The contexts of a pair's two answers may differ (harness.prompts), so TRL is given whole sequences, and the mask
    is taken off the contexts afterwards. With `audit`, training batches also say what was drawn (DRAWN).
    """

    selection: Selection | None = None
    audit: bool = False

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        assert self.selection is not None
        rows = [cast(TokenRow, example) for example in examples]
        pairs = [self.selection.pair(row) for row in rows]
        drawn = []
        for row, (chosen, rejected) in zip(rows, pairs, strict=True):
            ids = {"chosen_ids": sequence(row, chosen), "rejected_ids": sequence(row, rejected)}
            reference = {key: value for key, value in row.items() if key in REFERENCE_KEYS}
            drawn.append({"prompt_ids": [], **ids, **reference})
        batch: dict[str, Any] = super().torch_call(drawn)
        starts = [int(row["starts"][pair[side]]) for side in (0, 1) for row, pair in zip(rows, pairs, strict=True)]
        for line, start in enumerate(starts):
            batch["completion_mask"][line, :start] = 0
        if self.audit and not len(rows[0]["fixed"]):
            batch[DRAWN] = [self.selection.said_of(row, pair) for row, pair in zip(rows, pairs, strict=True)]
        return batch
