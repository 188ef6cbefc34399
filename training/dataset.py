"""Merged rows as token ids: tokenised once, one row per problem with all its answers.

An answer is one sequence: the context exactly as it is at sampling, then the answer, then EOS. Context and answer are
tokenised apart, because at sampling the context's tokens are fixed before the answer exists; tokenised together, the
last token of one and the first of the other could merge into one that is never seen there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from transformers import PreTrainedTokenizerBase

from harness.errors import DataError, UserError
from harness.prompts import token_ids, training_text
from harness.records import MergedRow
from harness.store import read_rows
from training.selection import Pool, Task, build_pool, draw_answer, draw_pair, evaluation_generator, lacks

# Stands before an answer where a tokeniser would otherwise put a space in front of it; SentencePiece has it as one
# byte that merges with nothing.
SENTINEL = "\n"


class TokenRow(TypedDict):
    """One problem. Position k of `sequences` and `starts` is the pool's answer k (training/selection.py)."""

    task_id: str
    sequences: list[list[int]]  # [K][n]: context, answer, EOS
    starts: list[int]  # [K]: where the answer begins in its sequence
    tiers: list[int]  # [passing]
    decided: list[list[int]]  # [pairs][2]: quick, slow
    fixed: list[int]  # evaluation: the one position, or the (chosen, rejected) positions; training: empty


@dataclass(frozen=True, slots=True)
class TokenData:
    """What a split has for one optimisation, and what was left out and why."""

    rows: list[TokenRow]
    sample_ids: dict[str, list[int]]  # per task_id: the sample of each position, for the record of draws
    problems_left_out: dict[str, int]  # reason -> problems
    answers_left_out: dict[str, int]  # reason -> answers
    answers: int

    @property
    def account(self) -> str:
        """One line for a person: what is used and what is left out."""
        parts = [f"{len(self.rows)} problems with {self.answers} answers"]
        parts += [f"left out {count} answers: {reason}" for reason, count in sorted(self.answers_left_out.items())]
        parts += [f"left out {count} problems: {reason}" for reason, count in sorted(self.problems_left_out.items())]
        return "; ".join(parts)


def row_pool(row: TokenRow) -> Pool:
    """The row's answers as the draws see them."""
    decided = tuple((pair[0], pair[1]) for pair in row["decided"])
    return Pool(tuple(row["tiers"]), len(row["starts"]), decided)


def load_merged(path: Path) -> list[MergedRow]:
    """The rows of a merged.jsonl. Raises DataError for a missing file, a broken row or an impossible pair."""
    if not path.exists():
        raise DataError("no merged data", where=str(path), fix="run `annotate` for this split first")
    rows = list(read_rows(path, MergedRow))
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        where = f"{path}:{number}"
        if row.id in seen:
            raise DataError(f"column 'id': {row.id!r} is there twice", where=where)
        seen.add(row.id)
        if not 0 <= row.passing <= len(row.answers):
            raise DataError(f"column 'passing': {row.passing} of {len(row.answers)} answers", where=where)
        for pair in row.decided:
            if pair.quick == pair.slow or not (0 <= pair.quick < row.passing and 0 <= pair.slow < row.passing):
                raise DataError(f"column 'decided': {pair.quick}, {pair.slow} are not two passing answers", where=where)
    return rows


def tokenize(
    rows: Sequence[MergedRow],
    tokenizer: PreTrainedTokenizerBase,
    *,
    draws: Task | None,
    top_p: float,
    max_length: int,
    evaluation: bool,
) -> TokenData:
    """Token rows of the problems that can give what `draws` asks for, without answers over `max_length` tokens.

    With `evaluation`, each row carries one fixed draw that depends on nothing but its task_id.
    """
    kept: list[TokenRow] = []
    sample_ids: dict[str, list[int]] = {}
    problems: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for row in rows:
        if reason := lacks(build_pool(row, range(len(row.answers)))[0], draws):
            problems[reason] += 1
            continue
        encoded: dict[int, tuple[list[int], int]] = {}
        for index, answer in enumerate(row.answers):
            sequence, start, reason = encode_answer(row.question, answer.text, tokenizer, max_length=max_length)
            if reason:
                answers[reason] += 1
            else:
                encoded[index] = (sequence, start)
        pool, order = build_pool(row, encoded)
        if reason := lacks(pool, draws):
            problems[f"{reason} within max_length"] += 1
            continue
        kept.append(
            TokenRow(
                task_id=row.id,
                sequences=[encoded[index][0] for index in order],
                starts=[encoded[index][1] for index in order],
                tiers=list(pool.tiers),
                decided=[list(pair) for pair in pool.decided],
                fixed=list(_fixed_draw(pool, draws, top_p, row.id)) if evaluation else [],
            )
        )
        sample_ids[row.id] = [row.answers[index].sample_id for index in order]
    total = sum(len(row["starts"]) for row in kept)
    return TokenData(kept, sample_ids, dict(problems), dict(answers), total)


def _fixed_draw(pool: Pool, draws: Task | None, top_p: float, task_id: str) -> tuple[int, ...]:
    rng = evaluation_generator(task_id)
    return (draw_answer(pool, top_p, rng),) if draws is None else draw_pair(pool, draws, rng)


def encode_answer(
    question: str, completion: str, tokenizer: PreTrainedTokenizerBase, *, max_length: int
) -> tuple[list[int], int, str]:
    """(token ids of context, answer and EOS; where the answer begins; why it can't be used, or "")."""
    if tokenizer.eos_token_id is None:
        raise UserError("the model's tokenizer has no end-of-sequence token", fix="use a model that has one")
    context, target = training_text(question, completion, tokenizer)
    try:
        context_ids = token_ids(context, tokenizer)
        target_ids = encode_target(target, tokenizer)
    except (UnicodeEncodeError, TypeError):  # lone surrogates: tokenisers take UTF-8 only
        return [], 0, "not valid Unicode"
    sequence = [*context_ids, *target_ids, int(tokenizer.eos_token_id)]
    if len(sequence) > max_length:
        return [], 0, f"longer than {max_length} tokens with the prompt"
    return sequence, len(context_ids), ""


def encode_target(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """An answer's tokens as a continuation: SentencePiece tokenisers put a space before what they take for a start."""
    plain, head, shifted = (token_ids(part, tokenizer) for part in (text, SENTINEL, SENTINEL + text))
    if _decode(head + plain, tokenizer) == _decode(head, tokenizer) + text or shifted[: len(head)] != head:
        return plain
    return shifted[len(head) :]


def _decode(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
