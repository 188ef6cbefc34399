"""Completions of a model while it is being trained: the loop, the prompts and the ends of `sample`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.records import FinishReason
from harness.sampling.backend import TransformersSampler
from harness.sampling.rows import Start
from harness.sampling.settings import Row, SamplingSettings
from harness.sampling.written import Written


class LiveWriter:
    """Writes completions of problems, known by task_id, with whatever model it is given.

    prompts: by task_id. settings: temperature, max_new_tokens and seed are used. A completion depends on these, the
    weights, its task_id and its number, so a run that goes on draws what it would have drawn.
    """

    def __init__(self, prompts: Mapping[str, str], settings: SamplingSettings) -> None:
        self._prompts, self._settings = prompts, settings
        self._starts: dict[str, Start] = {}

    def __call__(self, model: Any, tokenizer: Any, task_ids: Sequence[str], first: int) -> list[LiveSample]:
        """One completion for each task_id, in that order, numbered from `first` on. The model's mode is left alone."""
        for task_id in set(task_ids) - self._starts.keys():
            self._starts[task_id] = Start.of(self._prompts[task_id], tokenizer)
        sampler = TransformersSampler.around(model, tokenizer)
        rows = [Row(task_id, number) for number, task_id in enumerate(task_ids, start=first)]
        written = {one.row: one for one in sampler.write(rows, self._starts, self._settings)}
        return [LiveSample(self._starts[row.task_id], written[row]) for row in rows]


class LiveSample:
    """A completion and the tokens it is made of.

    completion: as in samples.jsonl, the lead included. prompt_ids, ids: the context's tokens and those that were drawn
    for the completion, without any that was drawn after the function's end.
    """

    def __init__(self, start: Start, written: Written) -> None:
        self.completion = start.lead + written.text
        self.prompt_ids: Sequence[int] = start.ids
        self.ids: Sequence[int] = written.ids
        self.finish_reason: FinishReason = written.finish_reason
