"""Merged rows as token ids: tokenised once, one row per problem with all its answers, in an Arrow file on disk.

An answer is one sequence: the context exactly as it is at sampling, then the answer, then EOS. Context and answer are
tokenised apart, because at sampling the context's tokens are fixed before the answer exists; tokenised together, the
last token of one and the first of the other could merge into one that is never seen there.

One problem is in memory at a time, here and in training: the file is mapped, and a draw reads its problem's
tokens only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from harness.errors import DataError, UserError
from harness.prompts import token_ids, training_text
from harness.records import MergedRow
from harness.store import atomic_file, read_rows
from training.selection import (
    ANY_PAIR,
    PairRule,
    Pool,
    Task,
    build_pool,
    draw_answer,
    draw_pair,
    evaluation_generator,
    lacks,
)

# Stands before an answer where a tokeniser would otherwise put a space in front of it; SentencePiece has it as one
# byte that merges with nothing.
SENTINEL = "\n"

Integers = npt.NDArray[np.int64]


class TokenRow(TypedDict):
    """One problem. Answer k is the pool's answer k (training/selection.py)."""

    task_id: str
    tokens: Integers  # all answers' sequences (context, answer, EOS), one behind the other
    ends: Integers  # [K]: where each sequence ends in `tokens`
    starts: Integers  # [K]: where the answer begins in its sequence
    samples: Integers  # [K]: sample ids, for the record of draws
    tiers: Integers  # [passing]
    decided: Integers  # [2 pairs]: quick, slow, quick, slow …; empty where none are drawn
    weights: npt.NDArray[np.float32]  # [pairs], or empty: all alike
    fixed: Integers  # evaluation: the one position, or the (chosen, rejected) positions; training: empty


SCHEMA = pa.schema(
    [
        pa.field("task_id", pa.string()),
        *(pa.field(name, pa.list_(pa.int32())) for name in ("tokens", "ends", "starts")),
        pa.field("samples", pa.list_(pa.int64())),
        *(pa.field(name, pa.list_(pa.int32())) for name in ("tiers", "decided")),
        pa.field("weights", pa.list_(pa.float32())),
        pa.field("fixed", pa.list_(pa.int32())),
    ]
)


def sequence(row: TokenRow, k: int) -> list[int]:
    """The token ids of answer k: context, answer, EOS."""
    begin = int(row["ends"][k - 1]) if k else 0
    tokens: list[int] = row["tokens"][begin : int(row["ends"][k])].tolist()
    return tokens


def row_pool(row: TokenRow) -> Pool:
    """The row's answers as the draws see them."""
    ends = row["decided"].tolist()
    decided = tuple(zip(ends[::2], ends[1::2], strict=True))
    return Pool(tuple(row["tiers"].tolist()), len(row["starts"]), decided, tuple(row["weights"].tolist()))


@dataclass(frozen=True, slots=True)
class Limits:
    """The most tokens that are trained on; what is longer is left out, not cut."""

    whole: int  # of context, answer and EOS
    prompt: int  # of the context


@dataclass(frozen=True, slots=True)
class Account:
    """What a split has for one optimisation, and what was left out and why."""

    problems: int
    answers: int
    tokens: int
    problems_left_out: dict[str, int]  # reason -> problems
    answers_left_out: dict[str, int]  # reason -> answers

    def __str__(self) -> str:
        """One line for a person."""
        parts = [f"{self.problems} problems with {self.answers} answers"]
        parts += [f"left out {count} answers: {reason}" for reason, count in sorted(self.answers_left_out.items())]
        parts += [f"left out {count} problems: {reason}" for reason, count in sorted(self.problems_left_out.items())]
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class TokenData:
    """A split on disk, and what is in it."""

    rows: Dataset  # each a TokenRow
    account: Account


def read_merged(path: Path) -> Iterator[MergedRow]:
    """The rows of a merged.jsonl. Raises DataError for a missing file, a broken row or an impossible pair."""
    if not path.exists():
        raise DataError("no merged data", where=str(path), fix="run `annotate` for this split first")
    seen: set[str] = set()
    for number, row in enumerate(read_rows(path, MergedRow), start=1):
        where = f"{path}:{number}"
        if row.id in seen:
            raise DataError(f"column 'id': {row.id!r} is there twice", where=where)
        seen.add(row.id)
        if not 0 <= row.passing <= len(row.answers):
            raise DataError(f"column 'passing': {row.passing} of {len(row.answers)} answers", where=where)
        for pair in row.decided:
            if pair.quick == pair.slow or not (0 <= pair.quick < row.passing and 0 <= pair.slow < row.passing):
                raise DataError(f"column 'decided': {pair.quick}, {pair.slow} are not two passing answers", where=where)
        yield row


@dataclass(frozen=True, slots=True)
class Encoder:
    """Makes token rows of merged rows that can give what `draws` asks for.

    With `evaluation`, each row carries one fixed draw that depends on nothing but its task_id and its answers.
    """

    tokenizer: PreTrainedTokenizerBase
    draws: Task | None  # a pair of this kind, or None for one answer
    top_p: float
    limits: Limits
    rule: PairRule = ANY_PAIR
    evaluation: bool = False

    def write(self, rows: Iterable[MergedRow], path: Path) -> Account:
        """The Arrow file at `path`, whole or not at all, one problem in memory at a time."""
        with atomic_file(path) as stream, pa.ipc.new_stream(stream, SCHEMA) as sink:
            return self._tally(rows, lambda row: sink.write_batch(pa.RecordBatch.from_pylist([row], schema=SCHEMA)))

    def count(self, rows: Iterable[MergedRow]) -> Account:
        """What `write` would give, without a file."""
        return self._tally(rows, lambda row: None)

    def _tally(self, rows: Iterable[MergedRow], keep: Callable[[dict[str, Any]], None]) -> Account:
        problems_left_out: Counter[str] = Counter()
        answers_left_out: Counter[str] = Counter()
        problems = answers = tokens = 0
        for row in self._encoded(rows, problems_left_out, answers_left_out):
            keep(row)
            problems, answers, tokens = problems + 1, answers + len(row["ends"]), tokens + row["ends"][-1]
        return Account(problems, answers, tokens, dict(problems_left_out), dict(answers_left_out))

    def _encoded(
        self, rows: Iterable[MergedRow], problems_left_out: Counter[str], answers_left_out: Counter[str]
    ) -> Iterator[dict[str, Any]]:
        """Rows of SCHEMA as Python values; adds to the two counts what gives none, by reason."""
        for row in rows:
            if reason := lacks(build_pool(row, range(len(row.answers)), self.rule)[0], self.draws):
                problems_left_out[reason] += 1
                continue
            encoded: dict[int, tuple[list[int], int]] = {}
            for index, answer in enumerate(row.answers):
                ids, start, reason = encode_answer(row.question, answer.text, self.tokenizer, self.limits)
                if reason:
                    answers_left_out[reason] += 1
                else:
                    encoded[index] = (ids, start)
            pool, order = build_pool(row, encoded, self.rule)
            if reason := lacks(pool, self.draws):
                problems_left_out[f"{reason} within the limits of length"] += 1
                continue
            yield self._row(row, pool, [encoded[index] for index in order], order)

    def _row(
        self, row: MergedRow, pool: Pool, encoded: list[tuple[list[int], int]], order: list[int]
    ) -> dict[str, Any]:
        drawn = self.draws in (Task.QVS, Task.ALL)  # the others need no decided pairs, of which there may be thousands
        return {
            "task_id": row.id,
            "tokens": np.concatenate([np.asarray(ids, dtype=np.int32) for ids, _ in encoded]),
            "ends": np.cumsum([len(ids) for ids, _ in encoded]).tolist(),
            "starts": [start for _, start in encoded],
            "samples": [row.answers[index].sample_id for index in order],
            "tiers": pool.tiers,
            "decided": [position for pair in pool.decided for position in pair] if drawn else (),
            "weights": pool.weights if drawn else (),
            "fixed": self._fixed_draw(pool, row.id) if self.evaluation else (),
        }

    def _fixed_draw(self, pool: Pool, task_id: str) -> tuple[int, ...]:
        rng = evaluation_generator(task_id)
        return (draw_answer(pool, self.top_p, rng),) if self.draws is None else draw_pair(pool, self.draws, rng)


def open_tokens(path: Path) -> Dataset:
    """The token rows of a file that `Encoder.write` made, mapped, not read. A row is a TokenRow."""
    # Formatted by numpy, a batch is views and copies of arrays; as Python lists, every token would become an object.
    return Dataset.from_file(str(path)).with_format("numpy")


def encode_answer(
    question: str, completion: str, tokenizer: PreTrainedTokenizerBase, limits: Limits
) -> tuple[list[int], int, str]:
    """(token ids of context, answer and EOS; where the answer begins; why it can't be used, or "")."""
    if tokenizer.eos_token_id is None:
        raise UserError("the model's tokenizer has no end-of-sequence token", fix="use a model that has one")
    context, target = training_text(question, completion, tokenizer)
    try:
        context_ids = _context_ids(context, tokenizer)
        target_ids = encode_target(target, tokenizer)
    except (UnicodeEncodeError, TypeError):  # lone surrogates: tokenisers take UTF-8 only
        return [], 0, "not valid Unicode"
    if len(context_ids) > limits.prompt:
        return [], 0, f"the prompt is longer than {limits.prompt} tokens"
    sequence = [*context_ids, *target_ids, int(tokenizer.eos_token_id)]
    if len(sequence) > limits.whole:
        return [], 0, f"longer than {limits.whole} tokens with the prompt"
    return sequence, len(context_ids), ""


@lru_cache(maxsize=4)
def _context_ids(context: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """All answers of a problem have the same one or two contexts."""
    return tuple(token_ids(context, tokenizer))


def encode_target(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """An answer's tokens as a continuation: SentencePiece tokenisers put a space before what they take for a start."""
    plain, head, shifted = (token_ids(part, tokenizer) for part in (text, SENTINEL, SENTINEL + text))
    if shifted == head + plain:
        return plain
    if _decode(head + plain, tokenizer) == _decode(head, tokenizer) + text or shifted[: len(head)] != head:
        return plain
    return shifted[len(head) :]


def _decode(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
