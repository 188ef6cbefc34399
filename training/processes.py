"""Which of several processes this is, as a launcher (`accelerate launch`, torchrun) says it. Loads nothing heavy."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import UserError

# How long the other processes keep an error to themselves: the first one says what went wrong for all, and the launcher
# ends the rest when it does.
HELD_SECONDS = 2.0


def process_count() -> int:
    """Processes that train together, on all machines; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """This one's number, from 0 over all machines; 0 without a launcher."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this process speaks and writes for all."""
    return process_index() == 0


@contextmanager
def first_speaks() -> Iterator[None]:
    """Around a command that runs in every process: what all of them fail at is said once, and Ctrl-C ends all.

    A launcher passes Ctrl-C on as SIGINT, which Python can't act on inside a collective operation that will never end.
    Only the first process has something to say or to tidy up then; the others end at once.
    """
    if is_first():
        yield
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    except UserError:
        time.sleep(HELD_SECONDS)
        raise


def launched() -> dict[str, int | str]:
    """How the run was launched, as far as another way could not go on from its checkpoints, or would share out the
    batches otherwise."""
    kinds = {"ACCELERATE_USE_FSDP": "fsdp", "ACCELERATE_USE_DEEPSPEED": "deepspeed"}
    sharding = [kind for name, kind in kinds.items() if os.environ.get(name, "").lower() == "true"]
    return {"processes": process_count(), **({"sharding": sharding[0]} if sharding else {})}
