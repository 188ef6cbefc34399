"""Completions from a transformers model: one decoding loop for CPU and GPU.

Each prompt is read once for all its samples; rows that are done leave the batch; a row is done at its end-of-text
token, at its last allowed token, or as soon as the function it continues is over. A row's draws come from its own keyed
stream of random numbers, so a sample is the same whatever it shares its batch with, up to rounding in the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Self

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.errors import UserError
from harness.prompts import before_completion, render, token_ids
from harness.records import FinishReason
from harness.sampling.cache import roomy_cache
from harness.sampling.function_end import State, function_end
from harness.sampling.quiet import without_bars
from harness.sampling.settings import Row, SamplingSettings, chance
from harness.sampling.written import Written

_CANDIDATES = 64  # likeliest tokens that are looked at before all 50,000 are sorted
_TAIL = 8  # tokens of the context decoded along, so that a tokenizer that trims a first space trims none of ours
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_DROP_SHARE = 8  # done rows are taken out of the batch once they are one in this many


@dataclass(frozen=True, slots=True)
class Start:
    """Where the rows of one problem begin.

    ids: the context's tokens. before: the program so far, for `function_end`. lead: what the completion begins with.
    """

    ids: list[int]
    before: State
    lead: str

    @classmethod
    def of(cls, prompt: str, tokenizer: Any) -> Start:
        """Where the completions of a problem's prompt begin."""
        context = render(prompt, tokenizer)
        return cls(token_ids(context.text, tokenizer), before_completion(prompt, context), context.lead)

    @property
    def prompt_tokens(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class _Live:
    """A row that is being written."""

    row: Row
    start: Start
    chance: Random
    ids: list[int] = field(default_factory=list)


class TransformersSampler:
    """A model and its tokenizer, loaded for sampling.

    device: "cuda", "cpu", or None for what is there. dtype: "float32", "bfloat16", or "auto": float32 on a CPU, where
    it made all of 128 samples the same in batches of 128 and 32 (bfloat16: 56%), bfloat16 on a GPU. On CPUs with units
    for it bfloat16 needs about half the time. Raises UserError if there is no such model.
    """

    def __init__(self, model: Path | str, *, device: str | None = None, dtype: str = "auto") -> None:
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        wanted = _DTYPES.get(dtype) or (torch.float32 if where.type == "cpu" else torch.bfloat16)
        try:
            with without_bars():
                tokenizer: Any = AutoTokenizer.from_pretrained(model)
                loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=wanted)
        except (OSError, ValueError) as error:
            raise UserError(str(error), where=f"--model_path {model}", fix="check its name or folder") from error
        self._use(loaded.to(where).eval(), tokenizer)

    @classmethod
    def around(cls, model: Any, tokenizer: Any) -> Self:
        """A sampler of a model that is in memory already, wherever it is and in whatever type: one being trained."""
        sampler = cls.__new__(cls)
        sampler._use(model, tokenizer)
        return sampler

    def _use(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self.batch_size = 128
        accepted = inspect.signature(self.model.forward).parameters
        self._one_logit = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        # As transformers 5.24 calls it, and those before.
        self._cache_name = "cache" if "cache" in accepted else "past_key_values"
        self._takes_positions = "position_ids" in accepted
        self._ends = _end_tokens(self.model, self.tokenizer)
        self._breaks: dict[int, bool] = {}

    @property
    def context_limit(self) -> int | None:
        """Tokens of prompt and completion together that the model can take, if it says."""
        config = self.model.config.get_text_config(decoder=True)
        limit = getattr(config, "max_position_embeddings", None)
        return limit if isinstance(limit, int) and limit > 0 else None

    def start(self, prompt: str) -> Start:
        return Start.of(prompt, self.tokenizer)

    def side_by_side(self, asked: int | None) -> int:
        return asked or self.batch_size

    def facts(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"device": str(self.device), "dtype": str(self.dtype).removeprefix("torch.")}

    def write(
        self, rows: Sequence[Row], starts: Mapping[str, Start], settings: SamplingSettings
    ) -> Generator[Written, None, None]:
        """Draw one completion per row, each given out as soon as it is done. starts: by task_id."""
        with torch.inference_mode():
            batch = _Batch(self, rows, starts, settings)
            while batch.live:
                yield from batch.step()

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits [rows, vocabulary] after the last of `ids` [rows, tokens]; mask [rows, cached + tokens], padding 0."""
        arguments: dict[str, Any] = {self._cache_name: cache, **self._one_logit}
        if self._takes_positions:
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            arguments["position_ids"] = positions[:, -ids.shape[1] :]
        output = self.model(input_ids=ids, attention_mask=mask, use_cache=True, **arguments)
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def read(self, live: _Live) -> str:
        """The text of a row so far."""
        tail = live.start.ids[-_TAIL:]
        known = self._decode(tail)
        return self._decode(tail + live.ids)[len(known) :]

    def _decode(self, ids: list[int]) -> str:
        text = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def finished(self, live: _Live, limit: int) -> Written | None:
        """The row's result if its newest token ended it."""
        ended = live.ids[-1] in self._ends
        last = ended or len(live.ids) >= limit
        if not last and not any(self._breaks_line(token) for token in live.ids[-2:]):
            return None  # a line can only have begun at or right after a line end: no need to read
        text = self.read(live)
        cut = function_end(text, live.start.before, final=last)
        if cut is not None:
            kept = self._within(live, cut)
            return Written(live.row, text[:cut], FinishReason.FUNCTION_END, len(live.ids), kept)
        if not last:
            return None
        reason = FinishReason.EOS if ended else FinishReason.LENGTH
        return Written(live.row, text, reason, len(live.ids), tuple(live.ids))

    def _within(self, live: _Live, cut: int) -> tuple[int, ...]:
        """The longest beginning of the row's tokens whose text is no longer than `cut`."""
        kept = list(live.ids)
        while kept and len(self.read(replace(live, ids=kept))) > cut:
            kept.pop()
        return tuple(kept)

    def _breaks_line(self, token: int) -> bool:
        known = self._breaks.get(token)
        if known is None:
            text = self._decode([token])
            known = self._breaks[token] = any(mark in text for mark in "\n\r`")
        return known


class _Batch:
    """The rows written side by side, and the tensors that belong to them, one row each and in the same order."""

    def __init__(
        self, sampler: TransformersSampler, rows: Sequence[Row], starts: Mapping[str, Start], settings: SamplingSettings
    ) -> None:
        self.sampler = sampler
        self.limit = settings.max_new_tokens
        self.temperature = settings.effective_temperature
        self.live: list[_Live | None] = [_Live(row, starts[row.task_id], chance(settings.seed, row)) for row in rows]
        tasks = list(dict.fromkeys(row.task_id for row in rows))
        self.cache = roomy_cache(sampler.model.config)
        ids, self.mask = _left_padded([starts[task].ids for task in tasks], sampler.device)
        self.logits = sampler.forward(ids, self.mask, self.cache)
        self._select([tasks.index(row.task_id) for row in rows])

    def step(self) -> list[Written]:
        """Draw every row's next token; the rows that it ends."""
        chances = [live.chance.random() if live else 0.0 for live in self.live]
        tokens = draw(self.logits, chances, self.temperature)
        done: list[Written] = []
        for place, (live, token) in enumerate(zip(self.live, tokens.tolist(), strict=True)):
            if live:
                live.ids.append(token)
                if written := self.sampler.finished(live, self.limit):
                    done.append(written)
                    self.live[place] = None
        kept = [place for place, live in enumerate(self.live) if live]
        if not kept:
            self.live = []
            return done
        if len(self.live) - len(kept) >= max(1, len(self.live) // _DROP_SHARE):
            self.live = [self.live[place] for place in kept]
            self._select(kept)
            tokens = tokens[torch.tensor(kept, device=tokens.device)]
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.live), 1)], dim=1)
        self.logits = self.sampler.forward(tokens[:, None], self.mask, self.cache)
        return done

    def _select(self, places: list[int]) -> None:
        """Make these rows, in this order, the batch."""
        index = torch.tensor(places, device=self.mask.device)
        self.cache.batch_select_indices(index)
        self.mask, self.logits = self.mask[index], self.logits[index]


def draw(logits: torch.Tensor, chances: Sequence[float], temperature: float) -> torch.Tensor:
    """One token per row from softmax(logits / temperature), by inverse transform of `chances` (uniform in [0, 1)).

    logits [rows, vocabulary]; returns [rows]. Exact: tokens are laid out from the likeliest down, ties by number; the
    64 likeliest are tried first and the row is sorted whole only if its number falls behind them. Large probabilities
    come first, so rounding in the model seldom changes the token. One random number per token costs a tenth of
    Gumbel noise on a vocabulary of 49,152.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    wanted = torch.tensor(chances, dtype=torch.float64, device=logits.device)[:, None]
    scaled = logits.float() / temperature
    total = scaled.logsumexp(dim=-1, keepdim=True)
    tokens = logits.topk(min(_CANDIDATES, logits.shape[-1]), dim=-1).indices.sort(dim=-1).values
    tokens, rank = _ranked(scaled.gather(1, tokens) - total, tokens, wanted)
    beyond = (rank >= tokens.shape[1]).nonzero()[:, 0]
    picked = tokens.gather(1, rank.clamp(max=tokens.shape[1] - 1)[:, None])[:, 0]
    if len(beyond):
        every = torch.arange(logits.shape[-1], device=logits.device).expand(len(beyond), -1)
        every, rank = _ranked(scaled[beyond] - total[beyond], every, wanted[beyond])
        picked[beyond] = every.gather(1, rank.clamp(max=logits.shape[-1] - 1)[:, None])[:, 0]
    return picked


def _ranked(log_chances: torch.Tensor, tokens: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens [rows, k] from the likeliest down, and the place where the running sum passes `wanted` [rows, 1]."""
    sorted_chances, order = log_chances.sort(dim=-1, descending=True, stable=True)
    return tokens.gather(1, order), (sorted_chances.double().exp().cumsum(dim=-1) <= wanted).sum(dim=-1)


def _left_padded(sequences: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask [sequences, longest], padded on the left with token 0, which the mask hides."""
    longest = max(len(ids) for ids in sequences)
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in sequences], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in sequences], device=device)
    return ids, mask


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a text: the model's and tokenizer's end-of-text, and any other special token."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*listed, *tokenizer.all_special_ids) if token is not None)
