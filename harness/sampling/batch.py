"""Rows that are written side by side: who has which place, who comes next, and what to do when memory runs out.

A place whose row is done is given to a row that waits (continuous batching, Yu et al., "Orca", OSDI 2022): the context
of a problem is read once and copied to all its rows, those that come later included. When no row waits, places without
a row are taken out of the batch. When memory runs out, half the rows go back to wait: what they have written so far is
kept and read again when their turn comes.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from harness.errors import UserError
from harness.sampling.cache import roomy_cache, roomy_layers
from harness.sampling.drawing import draw
from harness.sampling.rows import Live
from harness.sampling.settings import SamplingSettings
from harness.sampling.written import Written

_REFILL_SHARE = 16  # places are given away once they are one in this many: a context is read for several at a time
_DROP_SHARE = 8  # places are taken out once they are one in this many: that copies the cache
_READ_TOKENS = 1 << 14  # of contexts read at a time, padding included


class Model(Protocol):
    """What a batch needs of a model."""

    @property
    def config(self) -> Any: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def takes_positions(self) -> bool:
        """Whether it is told where in its row a token is; else that is the column, for all rows the same."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits [rows, vocabulary] after the last of `ids` [rows, tokens]; mask [rows, cached + tokens], padding 0."""

    def finished(self, live: Live, limit: int) -> Written | None:
        """The row's result if its newest token ended it. limit: tokens that may be drawn."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A context that the model has read. layers: keys and values [1, heads, tokens, head_dim]; logits [vocabulary]."""

    key: tuple[str, tuple[int, ...]]
    layers: list[tuple[torch.Tensor, torch.Tensor]]
    logits: torch.Tensor


class Batch:
    """waiting: the rows to write, in the order in which they get places. places: how many are written side by side.

    shrunk: is told the new number of places whenever memory has run out.
    """

    def __init__(
        self,
        model: Model,
        waiting: Iterable[Live],
        settings: SamplingSettings,
        places: int,
        shrunk: Callable[[int], None],
    ) -> None:
        self._model, self._shrunk = model, shrunk
        self._temperature, self._limit = settings.effective_temperature, settings.max_new_tokens
        self._waiting = deque(waiting)
        self._most = places
        self._kept: _Read | None = None  # of the row that is next in line
        self._refillable = model.takes_positions and bool(roomy_layers(roomy_cache(model.config)))
        self._clear()

    def _clear(self) -> None:
        self._rows: list[Live | None] = []  # by place, as the tensors' rows are
        self._held: list[int] = []  # tokens that the cache holds for each place
        self._columns = 0  # that the cache shows
        self._cache: Any = None
        self._logits: torch.Tensor | None = None
        self._tokens = torch.empty(0)

    def run(self) -> Iterator[Written]:
        """What comes of the rows, each as soon as it is done. Raises UserError where not even one row fits."""
        while self._waiting or self._rows:
            yield from self._step()

    def _step(self) -> list[Written]:
        """Draw every row's next token; the rows that it ends."""
        done: list[Written] = []
        exhausted = False
        try:
            with torch.inference_mode():
                self._refill()
                done = self._draw()
                self._forward()
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            exhausted = True
        if exhausted:  # out here nothing refers to the tensors of the frames that failed
            self._shrink()
        return done

    # --- rows come and go ---------------------------------------------------------------------------------------

    def _refill(self) -> None:
        """Give free places to rows that wait, once there are enough."""
        free = self._most if not self._rows else sum(row is None for row in self._rows)
        enough = self._refillable and free >= max(1, self._most // _REFILL_SHARE)
        if not self._waiting or (self._rows and not enough):
            return
        incoming = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        if self._rows:
            places = [place for place, row in enumerate(self._rows) if row is None][: len(incoming)]
        else:
            places = list(range(len(incoming)))
            self._rows, self._held = [None] * len(incoming), [0] * len(incoming)
        for place, live in zip(places, incoming, strict=True):
            self._rows[place], self._held[place] = live, live.tokens
        self._read(places)

    def _read(self, places: Sequence[int]) -> None:
        """Have the model read the contexts of the rows at these places, each context once."""
        by_key: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for place in places:
            by_key.setdefault(self._at(place).key, []).append(place)
        if self._kept and self._kept.key in by_key:
            self._put(by_key.pop(self._kept.key), self._kept.layers, self._kept.logits[None], [0])
        contexts = sorted(by_key.values(), key=lambda own: -self._at(own[0]).tokens)
        for group in self._groups(contexts):
            self._read_group(group)
        if self._kept and not (self._waiting and self._waiting[0].key == self._kept.key):
            self._kept = None

    def _groups(self, contexts: Sequence[list[int]]) -> Iterator[Sequence[list[int]]]:
        """Contexts (as the places that have them), longest first, to be read together."""
        start = 0
        while start < len(contexts):
            fitting = max(1, _READ_TOKENS // self._at(contexts[start][0]).tokens)
            # Layers that can't take over rows have to be given all of them at once.
            end = start + fitting if self._refillable else len(contexts)
            yield contexts[start:end]
            start = end

    def _read_group(self, contexts: Sequence[list[int]]) -> None:
        texts = [[*live.start.ids, *live.ids] for live in (self._at(own[0]) for own in contexts)]
        cache = roomy_cache(self._model.config)
        width = len(texts[0])
        ids = torch.tensor([[0] * (width - len(text)) + text for text in texts], device=self._model.device)
        logits = self._model.forward(ids, self._mask([len(text) for text in texts], width), cache)
        places = [place for own in contexts for place in own]
        sources = [source for source, own in enumerate(contexts) for _ in own]
        if self._refillable:
            layers = [layer.held for layer in roomy_layers(cache)]
            self._put(places, layers, logits, sources)
            self._keep(contexts, layers, logits)
        else:
            by_place = dict(zip(places, sources, strict=True))
            index = torch.tensor([by_place[place] for place in range(len(self._rows))], device=logits.device)
            cache.batch_select_indices(index)
            self._cache, self._logits, self._columns = cache, logits[index], width

    def _keep(
        self, contexts: Sequence[list[int]], layers: Sequence[tuple[torch.Tensor, torch.Tensor]], logits: torch.Tensor
    ) -> None:
        """Keep what was read of the context that the next row in line begins with."""
        for source, own in enumerate(contexts):
            live = self._at(own[0])
            if self._waiting and self._waiting[0].key == live.key:
                part = slice(source, source + 1), slice(None), slice(-live.tokens, None)
                own_layers = [(keys[part].clone(), values[part].clone()) for keys, values in layers]
                self._kept = _Read(live.key, own_layers, logits[source].clone())

    def _put(
        self,
        places: Sequence[int],
        layers: Sequence[tuple[torch.Tensor, torch.Tensor]],
        logits: torch.Tensor,
        sources: Sequence[int],
    ) -> None:
        """Give each of these places what was read as the row `sources` says."""
        rows, index = (torch.tensor(one, device=self._model.device) for one in (places, sources))
        if self._cache is None:
            self._cache = roomy_cache(self._model.config)
            self._logits = logits.new_zeros((len(self._rows), logits.shape[-1]))
        assert self._logits is not None
        for layer, (keys, values) in zip(roomy_layers(self._cache), layers, strict=True):
            layer.put(rows, keys[index], values[index], of=len(self._rows))
        self._logits[rows] = logits[index]

    def _drop(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take places that nobody waits for out of the batch, once they are many; the tokens of those that stay."""
        kept = [place for place, live in enumerate(self._rows) if live]
        few = len(self._rows) - len(kept) < max(1, len(self._rows) // _DROP_SHARE)
        if few or (self._waiting and self._refillable):
            return tokens
        self._rows, self._held = [self._rows[place] for place in kept], [self._held[place] for place in kept]
        index = torch.tensor(kept, device=tokens.device)
        self._cache.batch_select_indices(index)
        return tokens[index]

    def _shrink(self) -> None:
        """Memory has run out: go on with half the rows, from the texts as they are."""
        live = [row for row in self._rows if row]
        if len(live) <= 1:
            longest = max((row.tokens for row in live), default=0)
            raise UserError(
                f"there is not enough memory for a single completion ({longest} tokens so far)",
                where=f"sampling on {self._model.device}",
                fix="give a smaller --max_new_tokens, --dtype bfloat16, or a device with more memory",
            )
        self._waiting.extendleft(reversed(live))
        self._clear()
        self._kept = None
        gc.collect()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        self._most = len(live) // 2
        self._shrunk(self._most)

    # --- a token for every row ----------------------------------------------------------------------------------

    def _draw(self) -> list[Written]:
        """Append the next token of every row; the rows that it ends."""
        assert self._logits is not None
        numbers = [live.number if live else 0.0 for live in self._rows]
        self._tokens = draw(self._logits, numbers, self._temperature)
        done: list[Written] = []
        for place, (live, token) in enumerate(zip(self._rows, self._tokens.tolist(), strict=True)):
            if live:
                live.append(token)
                if written := self._model.finished(live, self._limit):
                    done.append(written)
                    self._rows[place], self._held[place] = None, 0
        return done

    def _forward(self) -> None:
        """Have the model read the tokens that were appended."""
        if not any(self._rows):
            self._clear()
            return
        tokens = self._drop(self._tokens)
        if self._refillable:
            self._columns = max(held for live, held in zip(self._rows, self._held, strict=True) if live)
            for layer in roomy_layers(self._cache):
                layer.narrow(self._columns)
        self._held = [held + 1 for held in self._held]
        self._columns += 1
        self._logits = self._model.forward(tokens[:, None], self._mask(self._held, self._columns), self._cache)

    def _mask(self, lengths: Sequence[int], columns: int) -> torch.Tensor:
        """[rows, columns]: 1 for the last columns of a row, as many as it has tokens."""
        device = self._model.device
        first = columns - torch.tensor(lengths, device=device)[:, None]
        return (torch.arange(columns, device=device)[None] >= first).long()

    def _at(self, place: int) -> Live:
        live = self._rows[place]
        assert live is not None
        return live


def _is_out_of_memory(error: BaseException) -> bool:
    """CUDA and ROCm have an exception for it; on a CPU and on MPS it is a RuntimeError like any other."""
    text = str(error)
    known = ("DefaultCPUAllocator", "MPS backend out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(mark in text for mark in known)
