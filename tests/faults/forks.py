"""Commands as forks of a process that has loaded the libraries: a real process each, in a hundredth of the time.

`python -m tests.faults.forks NAME …` imports these modules and the command line, then takes orders, a JSON object per
line: {"start": words, "printed": file, "death": …, "environment": …} is answered with the process id, {"wait": pid}
with how it ended (as in subprocess: negative for a signal). Nothing of a command is run before the fork.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.faults.deaths import Death, arm

FOR_SAMPLING = ("torch", "transformers", "harness.sampling.stage")
FOR_TRAINING = (*FOR_SAMPLING, "trl", "training.stage", "training.online_stage", "training.distributed")
FOR_THE_REST = (
    "harness.annotation.stage", "harness.cli.asked", "harness.cli.compare", "harness.cli.exchange",
    "harness.cli.online", "harness.cli.stages", "harness.cli.training", "harness.doctor.gather",
    "harness.evaluation.stage", "harness.exchange.importing", "harness.exchange.training_sets",
    "harness.merging.stage", "harness.report.console", "harness.stress.stage",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """code: as a shell's, negative for a signal. events: how often it was about to change something on the disk."""

    code: int
    printed: str
    events: int


class Forks:
    """The client's side. One at a time; commands may run side by side."""

    def __init__(self, modules: Sequence[str], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._started = folder, 0
        self._printed: dict[int, Path] = {}
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks", *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._ask({}) == {}

    def run(self, words: Sequence[str], death: Death | None = None, **environment: str) -> Ended:
        return self.wait(self.start(words, death, **environment))

    def start(self, words: Sequence[str], death: Death | None = None, **environment: str) -> int:
        """The process id of the command that was begun."""
        self._started += 1
        printed = self._folder / f"printed-{self._started % 8}"
        printed.with_suffix(".events").unlink(missing_ok=True)
        order = {
            "start": [str(word) for word in words],
            "printed": str(printed),
            "death": death.as_row() if death else None,
            "environment": environment,
        }
        pid = int(self._ask(order)["pid"])
        self._printed[pid] = printed
        return pid

    def wait(self, pid: int) -> Ended:
        code = int(self._ask({"wait": pid})["code"])
        printed = self._printed.pop(pid)
        events = printed.with_suffix(".events")
        count = int(events.read_text()) if events.exists() else 0
        return Ended(code, printed.read_text(errors="replace"), count)

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline() or '{"code": null}')
        assert isinstance(answer, dict)
        return answer


def serve(modules: Sequence[str]) -> None:
    for name in (*modules, "harness.cli.app"):
        importlib.import_module(name)
    gc.freeze()  # else each command's first collection would copy all of it
    orders, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    readers: dict[int, subprocess.Popen[bytes]] = {}
    for line in iter(orders.readline, ""):
        order = json.loads(line)
        if "start" in order:
            pid, readers_end = _begin(order)
            readers[pid] = readers_end
            answer = {"pid": pid}
        elif "wait" in order:
            status = os.waitpid(order["wait"], 0)[1]
            readers.pop(order["wait"]).wait()
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            answer = {}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _begin(order: Mapping[str, Any]) -> tuple[int, subprocess.Popen[bytes]]:
    """Through a pipe: a limit on the size of files must not be reached by what is printed."""
    outside, inside = os.pipe()
    with Path(order["printed"]).open("wb") as printed:
        reader = subprocess.Popen(["cat"], stdin=outside, stdout=printed)
    os.close(outside)
    pid = os.fork()
    if pid == 0:
        os.dup2(inside, 1)
        os.dup2(inside, 2)
        os.close(inside)
        os.environ.update(order["environment"])
        death = Death(**order["death"]) if order["death"] else None
        _command(order["start"], death, Path(order["printed"]).with_suffix(".events"))
    os.close(inside)
    return pid, reader


def _command(words: Sequence[str], death: Death | None, events: Path) -> NoReturn:
    from harness.cli.app import main

    sys.argv = ["code-optimise", *words]
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    if death is not None:
        arm(death, events)
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    threading._shutdown()
    atexit._run_exitfuncs()
    os._exit(code)  # clearing away all the libraries would take seconds


if __name__ == "__main__":
    serve(sys.argv[1:])
