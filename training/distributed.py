"""What several processes that train one model must have in common: their group, their data, their folder, their errors.

Any error that one process alone meets ends it, and with it, by the launcher, all others. What would go wrong without an
error (other data, a folder that only one machine sees) is compared here before training begins. In a single process
all of this does nothing but call what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import torch.distributed
from accelerate import PartialState

from harness.errors import UserError
from training.processes import is_first, process_count

Result = TypeVar("Result")
TIMEOUT_SECONDS = 1800.0  # transformers' own: how long one process waits for another


def join(*, cpu: bool, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Connect the processes that were launched together. The trainer goes on with the same group."""
    if process_count() > 1:
        PartialState(cpu=cpu, timeout=timedelta(seconds=timeout_seconds))


def leave() -> None:
    """End the group; NCCL complains of processes that end without it."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def from_first(action: Callable[[], Result]) -> Result:
    """What `action` returns in the first process, in all of them. It runs in that one only.

    Raises in all of them the UserError that it raises there. The result must be small and picklable.
    """
    if process_count() == 1:
        return action()
    said: list[Any] = [None, None]
    if is_first():
        try:
            said[0] = action()
        except UserError as error:
            said[1] = error
    torch.distributed.broadcast_object_list(said, src=0)
    if said[1] is not None:
        raise said[1]
    return cast(Result, said[0])


def agree(values: Mapping[str, Any]) -> None:
    """Raise UserError, in all processes, unless they all have the same values."""
    if process_count() == 1:
        return
    gathered: list[Any] = [None] * process_count()
    torch.distributed.all_gather_object(gathered, dict(values))
    for index, others in enumerate(gathered):
        differing = sorted(key for key in values if others.get(key) != gathered[0].get(key))
        if differing:
            listing = ", ".join(f"{key}: {gathered[0].get(key)!r} and {others.get(key)!r}" for key in differing)
            raise UserError(
                f"processes 0 and {index} were started with different settings, data or models ({listing})",
                fix="give all machines the same command, the same files and the same version of this program",
            )


def seen_by_all(path: Path) -> None:
    """Raise UserError, in all processes, unless all of them see what the first has written."""
    if process_count() == 1:
        return
    gathered: list[Any] = [None] * process_count()
    torch.distributed.all_gather_object(gathered, path.exists())
    blind = [index for index, sees in enumerate(gathered) if not sees]
    if blind:
        raise UserError(
            f"what process 0 writes is not seen by {', '.join(map(str, blind))} of {process_count()} processes",
            where=str(path),
            fix="put --root on a file system that all machines share",
        )
