"""Three ways to draw the same number of completions from one model: ours, the published loop, generate with stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from harness.records import Problem
from harness.sampling.backend import TransformersSampler
from harness.sampling.function_end import function_end
from harness.sampling.rows import Live, Start
from harness.sampling.settings import Row, SamplingSettings, chance, plan


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of one way over one set of problems. completions: (task_id, text), the lead included.

    tokens: of the completions, without what is cut off behind a function's end; written: all that the model drew.
    """

    completions: tuple[tuple[str, str], ...]
    tokens: int
    written: int
    wall_s: float
    cpu_s: float


Method = Callable[[TransformersSampler, Sequence[Problem], SamplingSettings], Drawn]


def ours(sampler: TransformersSampler, problems: Sequence[Problem], settings: SamplingSettings) -> Drawn:
    """All problems side by side, in places that change hands."""
    wall, cpu = time.perf_counter(), time.process_time()
    starts = {problem.task_id: sampler.start(problem.prompt) for problem in problems}
    missing = {task_id: range(settings.n_seq) for task_id in starts}
    rows = plan({task_id: start.size for task_id, start in starts.items()}, missing, settings)
    written = list(sampler.write(rows, starts, settings))
    return Drawn(
        tuple((one.row.task_id, starts[one.row.task_id].lead + one.text) for one in written),
        sum(len(one.ids) for one in written),
        sum(one.tokens or 0 for one in written),
        time.perf_counter() - wall,
        time.process_time() - cpu,
    )


def published_loop(sampler: TransformersSampler, problems: Sequence[Problem], settings: SamplingSettings) -> Drawn:
    """One prompt at a time, n_seq sequences, to end-of-text or the limit; cut afterwards."""
    return _by_generate(sampler, problems, settings, stops=False)


def generate_with_stops(sampler: TransformersSampler, problems: Sequence[Problem], settings: SamplingSettings) -> Drawn:
    """The same with a stopping criterion for each row at the end of its function: what transformers offers."""
    return _by_generate(sampler, problems, settings, stops=True)


METHODS: Mapping[str, Method] = {
    "ours": ours,
    "published loop": published_loop,
    "generate, rows stopped": generate_with_stops,
}


def _by_generate(
    sampler: TransformersSampler, problems: Sequence[Problem], settings: SamplingSettings, *, stops: bool
) -> Drawn:
    wall, cpu = time.perf_counter(), time.process_time()
    completions, tokens, written = [], 0, 0
    for problem in problems:
        start = sampler.start(problem.prompt)
        for ids in _sequences(sampler, start, problem.task_id, settings, stops=stops):
            live = Live(Row(problem.task_id, 0), start, chance(settings.seed, Row(problem.task_id, 0)), ids)
            text = sampler.read(live)
            cut = function_end(text, start.before, final=True)
            completions.append((problem.task_id, start.lead + (text if cut is None else text[:cut])))
            tokens += len(ids) if cut is None else _tokens_within(sampler, live, cut)
            written += len(ids)
    return Drawn(tuple(completions), tokens, written, time.perf_counter() - wall, time.process_time() - cpu)


def _tokens_within(sampler: TransformersSampler, live: Live, cut: int) -> int:
    """The tokens before a cut, by halving."""
    low, high = 0, len(live.ids)
    while low < high:
        middle = (low + high + 1) // 2
        if len(sampler.read(replace(live, ids=live.ids[:middle]))) <= cut:
            low = middle
        else:
            high = middle - 1
    return low


def _sequences(
    sampler: TransformersSampler, start: Start, task_id: str, settings: SamplingSettings, *, stops: bool
) -> list[list[int]]:
    """The tokens of n_seq completions, end-of-text and what follows it left out."""
    torch.manual_seed(settings.seed)
    ids = torch.tensor([start.ids], device=sampler.device)
    criteria = StoppingCriteriaList([_FunctionEnd(sampler, start, task_id, settings)] if stops else [])
    with torch.inference_mode():
        output = sampler.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=settings.effective_temperature,
            top_k=0,
            top_p=1.0,
            num_return_sequences=settings.n_seq,
            max_new_tokens=settings.max_new_tokens,
            stopping_criteria=criteria,
        )
    special = set(sampler.tokenizer.all_special_ids)
    sequences = []
    for row in output[:, ids.shape[1] :].tolist():
        end = next((at for at, token in enumerate(row) if token in special), len(row))
        sequences.append(row[:end])
    return sequences


class _FunctionEnd(StoppingCriteria):
    """Says of each row whether its function is over."""

    def __init__(self, sampler: TransformersSampler, start: Start, task_id: str, settings: SamplingSettings) -> None:
        self._sampler, self._limit = sampler, settings.max_new_tokens
        rows = [Row(task_id, at) for at in range(settings.n_seq)]
        self._rows = [Live(row, start, chance(settings.seed, row)) for row in rows]
        self._done = [False] * settings.n_seq

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:  # type: ignore[override]
        for at, (live, token) in enumerate(zip(self._rows, input_ids[:, -1].tolist(), strict=True)):
            if not self._done[at]:
                live.append(token)
                self._done[at] = self._sampler.finished(live, self._limit) is not None
        return torch.tensor(self._done, device=input_ids.device)
