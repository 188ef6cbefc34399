"""A key-value cache that grows without copying itself at every token.

transformers' DynamicLayer concatenates, which copies the whole cache for each new token: 69% of the time of a decoding
step of SmolLM2-135M with 64 rows on a CPU. RoomyLayer keeps spare room at the end and writes in place.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer

_ROOM = 64  # tokens of spare room made at a time


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values [rows, heads, tokens, head_dim], views of a larger store along the token dimension.

    Of the base class's ways to change it only `update` and `batch_select_indices` are supported.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._stores: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._stores is None or end > self._stores[0].shape[-2]:
            self._stores = (self._roomy(self.keys, key_states, end), self._roomy(self.values, value_states, end))
        self._stores[0][:, :, start:end] = key_states
        self._stores[1][:, :, start:end] = value_states
        self.keys, self.values = self._stores[0][:, :, :end], self._stores[1][:, :, :end]
        return self.keys, self.values

    @staticmethod
    def _roomy(old: torch.Tensor | None, new: torch.Tensor, end: int) -> torch.Tensor:
        store = new.new_empty((*new.shape[:-2], end + _ROOM, new.shape[-1]))
        if old is not None and old.numel():
            store[:, :, : old.shape[-2]] = old
        return store

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, in this order; a row may be named more than once."""
        if self._stores is None or not self.get_seq_length():
            return
        end = self.get_seq_length()
        self._stores = (self._stores[0][indices], self._stores[1][indices])
        self.keys, self.values = self._stores[0][:, :, :end], self._stores[1][:, :, :end]


def roomy_cache(config: PreTrainedConfig) -> DynamicCache:
    """An empty cache for a model. Layers of other kinds (sliding windows) stay as transformers makes them."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
