"""What each step was really given: kept on record as it is handed to the trainer, checked, and unrolled.

With `audit: true`, every process writes `seen-<rank>.jsonl`, and `tokens/` stays in the model folder.
`python -m training.audit FOLDER` checks that record against the draws and the tokens, and writes `unrolled.jsonl`: the
run as static rows, on which TRL's own trainers, with nothing of ours, go through the same steps.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from harness.errors import DataError, UserError
from harness.store import AppendFile, read_rows, write_rows
from training.dataset import TokenRow, open_tokens, sequence

DRAWS, UNROLLED = "draws.jsonl", "unrolled.jsonl"
TOKENS = Path("tokens")
TRAIN_TOKENS = TOKENS / "train.arrow"
PARTS = ("answer", "chosen", "rejected")  # what a sample can be drawn as, in the order of a batch


def digest(ids: Sequence[int]) -> str:
    """SHA-256 of token ids as little-endian 32-bit integers."""
    return hashlib.sha256(np.asarray(ids, dtype="<i4").tobytes()).hexdigest()


class SeenFile:
    """`seen-<rank>.jsonl` of one process: a row for each answer or pair, at the moment its batch goes into a step.

    A row: `step` (from 0), `batch` and `position` (of this process, over the whole run), `rank`, the draw (`epoch`,
    `task_id`, `answer` or `chosen` and `rejected`), and `sha256` of the token ids of each of its sequences as they
    stand in the tensors, without padding. What an interrupted session was given after the checkpoint that a run goes on
    from is dropped, so that each row is there exactly once.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"seen-{rank}.jsonl"
        self._rank = rank
        self._file: AppendFile | None = None
        self._batch = self._position = 0

    def add(self, step: int, drawn: Sequence[Mapping[str, Any]], batch: Mapping[str, torch.Tensor]) -> None:
        """`batch` as TRL's collators make it: a line for each draw, for pairs followed by a line for each rejected."""
        if self._file is None:
            self._file = self._open(step)
        lines = [
            digest(ids[mask.bool()].tolist())
            for ids, mask in zip(batch["input_ids"].cpu(), batch["attention_mask"].cpu(), strict=True)
        ]
        for number, draw in enumerate(drawn):
            place = {"step": step, "batch": self._batch, "position": self._position, "rank": self._rank}
            self._file.append(place | dict(draw) | {"sha256": lines[number :: len(drawn)]})
            self._position += 1
        self._batch += 1

    def _open(self, step: int) -> AppendFile:
        kept = [row for row in read_rows(self._path, dict[str, Any]) if row["step"] < step]
        write_rows(self._path, kept)
        self._position = len(kept)
        self._batch = kept[-1]["batch"] + 1 if kept else 0
        return AppendFile(self._path)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass(frozen=True, slots=True)
class Audit:
    """How the record of what was seen compares with the record of what was drawn. Contradictions are errors."""

    seen: int  # draws that went into a step, each as drawn, with the tokens of the data
    unseen: int  # of an epoch that training began, but in no step: training ended within it, or dropped a last batch
    repeated: int  # in more than one step of an epoch: several processes fill up their last batches

    def __str__(self) -> str:
        return f"{self.seen} draws went into steps as drawn, {self.unseen} into none, {self.repeated} more than once"


def audit(folder: Path) -> Audit:
    """Compare `seen-*.jsonl` with draws.jsonl and the tokens in a model folder.

    Raises DataError that names the row where another sample was seen than was drawn, or other tokens than the sample's.
    """
    drawn = {_visit(row): _samples(row) for row in read_rows(folder / DRAWS, dict[str, Any])}
    seen = Counter(_visit(row) for row, _, _ in _replay(folder, drawn))
    return Audit(
        seen=seen.total(),
        unseen=sum(visit not in seen for visit in drawn),
        repeated=seen.total() - len(seen),
    )


def unroll(folder: Path) -> Iterator[dict[str, Any]]:
    """The run of a model folder as static rows in the order they were seen, checked as by `audit`.

    SFT: `input_ids` and `labels`, which SFTTrainer takes as they are. DPO: `prompt`, `chosen` and `rejected`, since
    DPOTrainer takes texts only, and the `prompt_ids`, `chosen_ids` and `rejected_ids` that were trained on;
    `text_exact` says whether it makes these of the texts (it tokenises prompt and answer together). To go through the
    same steps: `train_sampling_strategy="sequential"`, one epoch, the same batch sizes and schedule; it needs epochs of
    ours that did not end with a smaller step than the others.
    Raises DataError as `audit`, and for a pair whose two answers have different contexts, which no such row can hold.
    """
    drawn = {_visit(row): _samples(row) for row in read_rows(folder / DRAWS, dict[str, Any])}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for row, tokens, positions in _replay(folder, drawn):
        sequences, starts = [sequence(tokens, k) for k in positions], [int(tokens["starts"][k]) for k in positions]
        origin = {"epoch": row["epoch"], "task_id": row["task_id"]}
        if len(positions) == 1:
            (ids,), (start,) = sequences, starts
            yield origin | {"input_ids": ids, "labels": [-100] * start + ids[start:]}
            continue
        contexts = [ids[:start] for ids, start in zip(sequences, starts, strict=True)]
        if contexts[0] != contexts[1]:
            raise DataError(
                f"{row['task_id']}: the chosen and the rejected answer have different contexts",
                where=str(folder),
                fix="one begins without the indent that the model is given; leave such answers out of the data",
            )
        chosen, rejected = (ids[len(contexts[0]) :] for ids in sequences)
        yield origin | _as_texts(contexts[0], chosen, rejected, tokenizer)


def _as_texts(
    prompt: list[int], chosen: list[int], rejected: list[int], tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    def text(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    texts = {"prompt": text(prompt), "chosen": text(chosen[:-1]), "rejected": text(rejected[:-1])}  # EOS is added again
    again = [tokenizer(texts["prompt"] + text(answer))["input_ids"] for answer in (chosen, rejected)]
    exact = again == [prompt + chosen, prompt + rejected] and tokenizer(texts["prompt"])["input_ids"] == prompt
    return texts | {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected, "text_exact": exact}


def _replay(
    folder: Path, drawn: Mapping[tuple[int, str], list[int]]
) -> Iterator[tuple[dict[str, Any], TokenRow, list[int]]]:
    """What was seen, in the order of the whole run: the row, its problem's tokens, the positions of its answers."""
    data = _tokens(folder)
    place = {str(task_id): number for number, task_id in enumerate(data["task_id"][:])}
    for where, row in _seen(folder):
        if drawn.get(_visit(row)) != _samples(row):
            raise DataError(f"saw {_samples(row)}, drawn was {drawn.get(_visit(row))}", where=where)
        if row["task_id"] not in place:
            raise DataError(f"no tokens of {row['task_id']!r}", where=where)
        tokens: TokenRow = data[place[row["task_id"]]]
        positions = [tokens["samples"].tolist().index(sample) for sample in _samples(row)]
        if [digest(sequence(tokens, k)) for k in positions] != row["sha256"]:
            raise DataError(f"other tokens than those of {row['task_id']!r} in {TRAIN_TOKENS}", where=where)
        yield row, tokens, positions


def _tokens(folder: Path) -> Dataset:
    if not (folder / TRAIN_TOKENS).exists() or not list(folder.glob("seen-*.jsonl")):
        raise UserError("no record of what was seen", where=str(folder), fix="train with --audit true")
    return open_tokens(folder / TRAIN_TOKENS)


def _seen(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and row, row) of all processes, in the order of the whole run: batch by batch, in turn."""

    def numbered(path: Path) -> Iterator[tuple[tuple[int, int, int], str, dict[str, Any]]]:
        for number, row in enumerate(read_rows(path, dict[str, Any]), start=1):
            yield (row["batch"], row["rank"], row["position"]), f"{path}:{number}", row

    for _, where, row in heapq.merge(*(numbered(path) for path in sorted(folder.glob("seen-*.jsonl")))):
        yield where, row


def _visit(row: Mapping[str, Any]) -> tuple[int, str]:
    return row["epoch"], row["task_id"]


def _samples(row: Mapping[str, Any]) -> list[int]:
    return [row[part] for part in PARTS if part in row]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.audit", description=__doc__)
    parser.add_argument("folder", type=Path, help="a model folder that was trained with --audit true")
    folder = parser.parse_args().folder
    try:
        found = audit(folder)
        write_rows(folder / UNROLLED, unroll(folder))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{found}\n{json.dumps(str(folder / UNROLLED))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
