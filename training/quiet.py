"""Keeps off the screen what the libraries say to their own developers, and their progress bars while ours is on it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import datasets
from transformers.utils import logging as transformers_logging

# A model whose output layer is its input embedding has that layer saved once. Loading the best checkpoint then calls
# the other name missing, though it is tied to it again.
TIED_WEIGHT_NOTICE = "There were missing keys in the checkpoint model loaded: ['lm_head.weight']"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """No bars and no deprecation notices of TRL's use of transformers inside; as it was before, after."""
    bars, data_bars = transformers_logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    datasets.disable_progress_bars()
    trainer_log = logging.getLogger("transformers.trainer")
    trainer_log.addFilter(_says_something)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl)\.")
            yield
    finally:
        trainer_log.removeFilter(_says_something)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        if not data_bars:
            datasets.enable_progress_bars()


def _says_something(record: logging.LogRecord) -> bool:
    return TIED_WEIGHT_NOTICE not in record.getMessage()
