"""The path of the data: draws, batches, and the memory that tokenising and an epoch of batches take.

`python -m tests.benchmarks.training_data TOKENIZER ANSWERS lists|disk` measures memory in a process of its own.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from tests.benchmarks.figures import Range, over_rounds
from tests.benchmarks.training_steps import made_up_row
from training.collators import AnswerCollator, PairCollator, Selection
from training.dataset import Encoder, Limits, open_tokens
from training.selection import Pool, Task, draw_answer, draw_pair, generator

ANSWERS, LINES = 100, 17  # 17 lines are 200 tokens of SmolLM2's
LIMITS = Limits(2048, 1024)
ROUNDS = 7
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time for one problem, over rounds."""

    what: str
    microseconds: Range

    @classmethod
    def of(cls, values: dict[str, Any]) -> Cost:
        return cls(values["what"], Range(**values["microseconds"]))


def timed(what: str, count: int, work: Callable[[], object]) -> Cost:
    """What one of the `count` things that `work` does costs."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        rounds.append(1e6 * (time.process_time() - begin) / count)
    measured = over_rounds(rounds)
    assert measured is not None
    return Cost(what, measured)


def draw_cost(draws: int) -> Iterator[Cost]:
    """Draws alone: 50 passing answers, all pairs of them decided, and 50 failing ones."""
    decided = tuple((i, j) for i in range(50) for j in range(i + 1, 50))
    plain = Pool(tuple(range(50)), ANSWERS, decided)
    weighed = Pool(plain.tiers, plain.size, decided, tuple(1.0 + i % 3 for i in range(len(decided))))

    def each(one: Callable[[random.Random], object]) -> Callable[[], object]:
        return lambda: [one(generator(0, epoch, "task")) for epoch in range(draws)]

    yield timed("draw: an answer", draws, each(lambda rng: draw_answer(plain, 25, rng)))
    for task in Task:
        yield timed(f"draw: {task.value}", draws, each(lambda rng, task=task: draw_pair(plain, task, rng)))
    yield timed("draw: qvs, weighed", draws, each(lambda rng: draw_pair(weighed, Task.QVS, rng)))


def collator_cost(tokenizer_path: Path, folder: Path) -> Iterator[Cost]:
    """A row from the file, and batches of two: rows read, drawn and padded."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    rows, path = 16, folder / "collator.arrow"
    Encoder(tokenizer, Task.QVS, 100, LIMITS).write((made_up_row(n, ANSWERS, LINES) for n in range(rows)), path)
    data = open_tokens(path)
    pad = int(tokenizer.pad_token_id)
    selection = Selection(1, 100, Task.QVS, augment=True)
    answers, pairs = AnswerCollator(pad_token_id=pad, selection=selection), PairCollator(pad, selection=selection)
    batches = [[k, k + 1] for k in range(0, rows, 2)]
    yield timed("row read from the file", rows, lambda: [data.__getitems__(batch) for batch in batches])
    for name, collator in (("SFT", answers), ("DPO, qvs", pairs)):
        yield timed(
            f"{name}: row read, drawn, in a batch of two",
            rows,
            lambda collator=collator: [collator(data.__getitems__(batch)) for batch in batches],
        )


def memory_of(tokenizer: Path, answers: int, how: str) -> dict[str, Any]:
    """The figures of one run in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.training_data", str(tokenizer), str(answers), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Bytes of anonymous memory: the most, beyond what there was at the start, seen every 5 ms."""
    stop, most = threading.Event(), [0]
    start = anonymous_bytes()

    def watch() -> None:
        while not stop.wait(0.005):
            most[0] = max(most[0], anonymous_bytes() - start)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        most[0] = max(most[0], anonymous_bytes() - start)
        stop.set()
        thread.join()


def anonymous_bytes() -> int:
    """Resident memory of this process that belongs to no file."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(fields["RssAnon"].split()[0])


def main(tokenizer_path: str, answers: int, how: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    collator = PairCollator(int(tokenizer.pad_token_id), selection=Selection(1, 100, Task.QVS, augment=True))
    encoder = Encoder(tokenizer, Task.QVS, 100, LIMITS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.arrow"
        encoder.write([made_up_row(0, ANSWERS, LINES)], path)  # what the libraries load at first use is not the data's
        collator(open_tokens(path).__getitems__([0, 0]))
        begin = time.process_time()
        with peak_memory() as peak:
            account = encoder.write((made_up_row(n, ANSWERS, LINES) for n in range(answers // ANSWERS)), path)
            data = open_tokens(path)
            # As it was before rows were kept on disk: every row as Python values, then as a Dataset.
            held = [{name: list(value) for name, value in row.items()} for row in data] if how == "lists" else None
            for k in range(0, len(data), 2):
                collator(data.__getitems__([k, min(k + 1, len(data) - 1)]))
        del held
        size = path.stat().st_size
    figures = {
        "answers": account.answers,
        "how": how,
        "peak_mib": peak[0] / MIB,
        "rows_mib": size / MIB,
        "tokens": account.tokens,
        "cpu_seconds": time.process_time() - begin,
        "process_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
