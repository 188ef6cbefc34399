"""A key-value cache whose rows can be taken over by others, and that does not copy itself at every token.

transformers' DynamicLayer concatenates, which copies the whole cache for each new token: 69% of the time of a decoding
step of SmolLM2-135M with 64 rows on a CPU. RoomyLayer keeps spare room at the end and writes in place. All rows end at
the same column, so what is before a row's first token belongs to nobody and is masked; once no row reaches back to the
first columns, they are no longer shown to the model.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer

_ROOM = 64  # tokens of spare room made at a time


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values [rows, heads, tokens, head_dim]: the last used columns of a larger store.

    Of the base class's ways to change it only `update` and `batch_select_indices` are supported.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._stores: tuple[torch.Tensor, torch.Tensor] | None = None
        self._first = self._end = 0  # of the columns that are shown

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        shown, new = self._end - self._first, key_states.shape[-2]
        if self._stores is None:
            self._stores = (_store(key_states, len(key_states), new), _store(value_states, len(value_states), new))
        elif self._end + new > self._stores[0].shape[-2]:
            self._rebuild(shown, room=new)
        self._stores[0][:, :, self._end : self._end + new] = key_states
        self._stores[1][:, :, self._end : self._end + new] = value_states
        self._end += new
        return self._show()

    def put(self, rows: torch.Tensor, key_states: torch.Tensor, value_states: torch.Tensor, *, of: int) -> None:
        """Make `rows` [n] of the `of` rows hold these [n, heads, tokens, head_dim], up to the last column."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        tokens = key_states.shape[-2]
        if self._stores is None:
            self._stores = (_store(key_states, of, tokens), _store(value_states, of, tokens))
            self._end = tokens
        elif tokens > self._end:
            self._rebuild(tokens, room=0)
        self._first = min(self._first, self._end - tokens)
        self._stores[0][rows, :, self._end - tokens : self._end] = key_states
        self._stores[1][rows, :, self._end - tokens : self._end] = value_states
        self._show()

    @property
    def held(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The keys and values that are shown."""
        return self._show()

    def narrow(self, tokens: int) -> None:
        """Show only the last `tokens` columns."""
        self._first = self._end - tokens
        self._show()

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order; a row may be named more than once."""
        if self._stores is None or not self.get_seq_length():
            return
        self._stores = (self._stores[0][indices], self._stores[1][indices])
        self._show()

    def _show(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._stores is not None
        self.keys = self._stores[0][:, :, self._first : self._end]
        self.values = self._stores[1][:, :, self._first : self._end]
        return self.keys, self.values

    def _rebuild(self, end: int, *, room: int) -> None:
        """A new store, in which the columns that are shown end at `end`, with `room` and some more behind."""
        assert self._stores is not None
        self._stores = (self._moved(self._stores[0], end, room), self._moved(self._stores[1], end, room))
        self._first, self._end = end - (self._end - self._first), end

    def _moved(self, old: torch.Tensor, end: int, room: int) -> torch.Tensor:
        new = _store(old, len(old), end + room)
        new[:, :, end - (self._end - self._first) : end] = old[:, :, self._first : self._end]
        return new


def _store(like: torch.Tensor, rows: int, tokens: int) -> torch.Tensor:
    """Zeros: what is masked is multiplied by nothing, and nothing times what memory happens to hold may not be 0."""
    return like.new_zeros((rows, like.shape[1], tokens + _ROOM, like.shape[-1]))


def roomy_cache(config: PreTrainedConfig) -> DynamicCache:
    """An empty cache for a model. Layers of other kinds (sliding windows) stay as transformers makes them."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def roomy_layers(cache: DynamicCache) -> list[RoomyLayer]:
    """All layers, or none where one of them is of another kind."""
    layers = [layer for layer in cache.layers if isinstance(layer, RoomyLayer)]
    return layers if len(layers) == len(cache.layers) else []
