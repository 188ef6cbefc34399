"""Completions from a transformers model: one decoding loop for CPU and GPU (harness/sampling/batch.py).

A row is done at its end-of-text token, at its last allowed token, or as soon as the function it continues is over. A
row's draws come from its own keyed stream of random numbers, so a sample is the same whatever it shares its batch with,
up to rounding in the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.errors import UserError
from harness.records import FinishReason
from harness.sampling.batch import Batch
from harness.sampling.function_end import function_end
from harness.sampling.quiet import without_bars
from harness.sampling.rows import Live, Start
from harness.sampling.settings import Row, SamplingSettings, chance
from harness.sampling.written import Written

PLACES = 128  # rows that are written side by side if nothing else is asked for
_TAIL = 8  # tokens of the context decoded along, so that a tokenizer that trims a first space trims none of ours
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class TransformersSampler:
    """A model and its tokenizer, loaded for sampling.

    device: "cuda", "cpu", or None for what is there. dtype: "float32", "bfloat16", or "auto": float32 on a CPU, where
    it made all of 128 samples the same in batches of 128 and 32 (bfloat16: 56%), bfloat16 on a GPU. On CPUs with units
    for it bfloat16 needs about half the time. warn: is told when memory has run out and rows wait for it. Raises
    UserError if there is no such model.
    """

    def __init__(
        self,
        model: Path | str,
        *,
        device: str | None = None,
        dtype: str = "auto",
        warn: Callable[[str], None] | None = None,
    ) -> None:
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        wanted = _DTYPES.get(dtype) or (torch.float32 if where.type == "cpu" else torch.bfloat16)
        try:
            with without_bars():
                tokenizer: Any = AutoTokenizer.from_pretrained(model)
                loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=wanted)
        except (OSError, ValueError) as error:
            raise UserError(str(error), where=f"--model_path {model}", fix="check its name or folder") from error
        self._use(loaded.to(where).eval(), tokenizer, warn)

    @classmethod
    def around(cls, model: Any, tokenizer: Any, *, warn: Callable[[str], None] | None = None) -> Self:
        """A sampler of a model that is in memory already, wherever it is and in whatever type: one being trained."""
        sampler = cls.__new__(cls)
        sampler._use(model, tokenizer, warn)
        return sampler

    def _use(self, model: Any, tokenizer: Any, warn: Callable[[str], None] | None) -> None:
        self.model, self.tokenizer, self._warn = model, tokenizer, warn
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self._fits: int | None = None  # places, where memory has run out with more
        accepted = inspect.signature(self.model.forward).parameters
        self._one_logit = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        # As transformers 5.24 calls it, and those before.
        self._cache_name = "cache" if "cache" in accepted else "past_key_values"
        self.takes_positions = "position_ids" in accepted
        self._ends = _end_tokens(self.model, self.tokenizer)
        self._breaks: dict[int, bool] = {}

    @property
    def config(self) -> Any:
        return self.model.config

    @property
    def context_limit(self) -> int | None:
        """Tokens of prompt and completion together that the model can take, if it says."""
        config = self.model.config.get_text_config(decoder=True)
        limit = getattr(config, "max_position_embeddings", None)
        return limit if isinstance(limit, int) and limit > 0 else None

    def start(self, prompt: str) -> Start:
        return Start.of(prompt, self.tokenizer)

    def facts(self, _: Mapping[str, Any]) -> dict[str, Any]:
        shrunk = {"places": self._fits} if self._fits else {}
        return {"device": str(self.device), "dtype": str(self.dtype).removeprefix("torch."), **shrunk}

    def write(
        self, rows: Sequence[Row], starts: Mapping[str, Start], settings: SamplingSettings
    ) -> Generator[Written, None, None]:
        """Draw one completion per row, each given out as soon as it is done. starts: by task_id.

        Rows get places in the order given, `settings.batch_size` of them (None: 128), fewer once memory has run out.
        """
        places = min(settings.batch_size or PLACES, self._fits or len(rows))
        waiting = (Live(row, starts[row.task_id], chance(settings.seed, row)) for row in rows)
        yield from Batch(self, waiting, settings, places, self._shrunk).run()

    def _shrunk(self, places: int) -> None:
        self._fits = places
        if self._warn:
            self._warn(f"{self.device} has not enough memory for so many completions at a time; going on with {places}")

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits [rows, vocabulary] after the last of `ids` [rows, tokens]; mask [rows, cached + tokens], padding 0."""
        arguments: dict[str, Any] = {self._cache_name: cache, **self._one_logit}
        if self.takes_positions:
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            arguments["position_ids"] = positions[:, -ids.shape[1] :]
        output = self.model(input_ids=ids, attention_mask=mask, use_cache=True, **arguments)
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def read(self, live: Live) -> str:
        """The text of a row so far."""
        tail = live.start.ids[-_TAIL:]
        known = self._decode(tail)
        return self._decode(tail + live.ids)[len(known) :]

    def _decode(self, ids: list[int]) -> str:
        text = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def finished(self, live: Live, limit: int) -> Written | None:
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

    def _within(self, live: Live, cut: int) -> tuple[int, ...]:
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


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a text: the model's and tokenizer's end-of-text, and any other special token."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*listed, *tokenizer.all_special_ids) if token is not None)
