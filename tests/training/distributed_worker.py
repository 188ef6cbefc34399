"""What `accelerate launch` starts in the tests of several processes. No test itself.

    distributed_worker.py jobs FILE     train each job of a JSON file, in turn, by training.stage
    distributed_worker.py cli ARGS...   the command line

Environment: AS_GPU=1 lets accelerate take the CPU for the accelerator, as it shares out weights on those only (FSDP,
ZeRO-3); all else is its own code, over gloo. FAULT=rank:step:kind has one process fail when that many steps are done:
`kill` ends it as the system would for lack of memory, `memory` is a full accelerator, `stall` writes the file STALLED
and never goes on. PIDS=folder: each process leaves a file there, named by its number.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

torch.set_num_threads(1)
RANK = int(os.environ["RANK"])


def take_cpu_for_accelerator() -> None:
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    if os.environ.get("ACCELERATE_USE_DEEPSPEED"):  # is left out where the CPU goes by its name
        import training.stage
        import training.trainers

        training.stage.on_cpu = training.trainers.on_cpu = lambda _: False
    else:
        torch.distributed.init_process_group("gloo")
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)  # type: ignore[method-assign]


def plant(fault: str) -> None:
    """Make this process fail, if it is the one, when so many steps are done."""
    from transformers import Trainer

    rank, step, kind = fault.split(":")
    if int(rank) != RANK:
        return
    train_step = Trainer.training_step

    def training_step(self: Trainer, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.state.global_step == int(step):
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "memory":
                raise torch.OutOfMemoryError("planted")
            Path(os.environ["STALLED"]).touch()
            while True:
                time.sleep(1)
        return train_step(self, *args, **kwargs)

    Trainer.training_step = training_step  # type: ignore[method-assign]


def run_jobs(jobs: list[dict[str, Any]]) -> None:
    from harness.progress import SilentReporter
    from training.config import TrainConfig
    from training.stage import train

    for job in jobs:
        rows = Path(job["rows"][min(RANK, len(job["rows"]) - 1)])  # one file for all, or one for each process
        config = TrainConfig(**job["config"])
        data = rows, Path(job["validation"])
        summary = train(*data, job["model"], Path(job["out"]), config, reporter=SilentReporter())
        if RANK == 0:
            print("finished before:", summary.finished_before, flush=True)


def main() -> None:
    if pids := os.environ.get("PIDS"):
        (Path(pids) / str(RANK)).write_text(str(os.getpid()))
    if os.environ.get("AS_GPU"):
        take_cpu_for_accelerator()
    if fault := os.environ.get("FAULT"):
        plant(fault)
    mode, *rest = sys.argv[1:]
    if mode == "jobs":
        run_jobs(json.loads(Path(rest[0]).read_text()))
    else:
        from harness.cli.app import main as command_line

        sys.argv = ["code-optimise", *rest]
        command_line()


if __name__ == "__main__":
    main()
