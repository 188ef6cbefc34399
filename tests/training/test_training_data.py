"""What carries loss: the tokens of the answer and its EOS, after exactly the context that sampling gives."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from harness.errors import DataError
from harness.prompts import render, token_ids
from harness.records import MergedRow, QuickSlow
from harness.store import write_rows
from tests.training.small_data import make_rows, token_data
from training.collators import IGNORED, AnswerCollator, PairCollator, Selection
from training.dataset import Encoder, Limits, encode_target, open_tokens, read_merged, row_pool, sequence
from training.selection import PairRule, Task, WeighBy, build_pool

pytestmark = pytest.mark.training


@pytest.fixture(params=["chat", "plain"])
def either(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    if request.param == "chat":
        return tokenizer
    plain = copy.deepcopy(tokenizer)
    plain.chat_template = None
    return plain


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "tokens.arrow"


def selection(task: Task = Task.QVS, *, augment: bool = True) -> Selection:
    return Selection(seed=1, top_p=100, task=task, augment=augment)


def test_sft_loss_is_on_the_answer_and_its_eos_only(either: PreTrainedTokenizerBase, tokens: Path) -> None:
    rows = make_rows(4, "t")
    data = token_data(rows, either, tokens)
    eos = either.eos_token_id
    assert isinstance(eos, int)
    collator = AnswerCollator(pad_token_id=eos, selection=selection())  # the built-in model's pad is EOS, too
    texts = set()
    for epoch in range(12):
        collator.selection.epoch = epoch
        batch = collator([dict(row) for row in data.rows])
        assert (batch["attention_mask"].sum(1) < batch["input_ids"].shape[1]).any(), "no padding: the test says nothing"
        for line, row in enumerate(rows):
            context = render(row.question, either)
            labels = batch["labels"][line]
            carrying = labels != IGNORED
            learnt = labels[carrying].tolist()
            assert learnt[-1] == eos
            assert learnt.count(eos) == 1
            text = either.decode(learnt[:-1])
            assert context.lead + text in [answer.text for answer in row.answers[:3]]
            start = int(carrying.nonzero()[0])
            assert batch["input_ids"][line, :start].tolist() == token_ids(context.text, either)
            assert carrying[start : start + len(learnt)].all(), "the answer is in one piece"
            assert int(batch["attention_mask"][line].sum()) == start + len(learnt)
            texts.add(text)
    assert len(texts) >= 3


def test_dpo_loss_is_on_both_answers_and_their_eos_only(either: PreTrainedTokenizerBase, tokens: Path) -> None:
    rows = make_rows(4, "t")
    data = token_data(rows, either, tokens, Task.ALL)
    eos = either.eos_token_id
    assert isinstance(eos, int)
    collator = PairCollator(pad_token_id=eos, selection=selection(Task.ALL))
    batch = collator([dict(row) for row in data.rows])
    assert batch["input_ids"].shape[0] == 8
    for line in range(8):
        row = rows[line % 4]
        context = render(row.question, either)
        mask = batch["completion_mask"][line].bool()
        learnt = batch["input_ids"][line][mask].tolist()
        assert learnt[-1] == eos
        allowed = row.answers[:3] if line < 4 else row.answers[1:]
        assert context.lead + either.decode(learnt[:-1]) in [answer.text for answer in allowed]
        start = int(mask.nonzero()[0])
        assert batch["input_ids"][line, :start].tolist() == token_ids(context.text, either)
        assert int(batch["attention_mask"][line].sum()) == start + len(learnt)


def test_an_answer_that_begins_otherwise_than_the_lead_is_learnt_whole(
    tokenizer: PreTrainedTokenizerBase, tokens: Path
) -> None:
    row = make_rows(1, "t")[0]
    odd = replace(row, answers=[replace(row.answers[0], text="\treturn sum(values)\n"), *row.answers[1:]])
    context = render(odd.question, tokenizer)
    assert context.lead, "the chat model's answers are begun for it"
    data = token_data([odd], tokenizer, tokens)
    (first, second), starts = (sequence(data.rows[0], k) for k in (0, 1)), data.rows[0]["starts"]
    assert tokenizer.decode(first[: starts[0]]) == context.head
    assert tokenizer.decode(first[starts[0] : -1]) == "\treturn sum(values)\n"
    assert tokenizer.decode(second[: starts[1]]) == context.text


def test_long_answers_are_left_out_and_the_rest_keeps_its_pairs(
    tokenizer: PreTrainedTokenizerBase, tokens: Path
) -> None:
    row = make_rows(1, "t")[0]
    long = replace(row, answers=[replace(row.answers[0], text="    return 1" + " + 1" * 500), *row.answers[1:]])
    data = token_data([long], tokenizer, tokens, Task.QVS, limits=Limits(300, 300))
    assert data.account.answers_left_out == {"longer than 300 tokens with the prompt": 1}
    assert "left out 1 answers: longer than 300 tokens" in str(data.account)
    (kept,) = data.rows
    assert kept["decided"].tolist() == [0, 1]  # was (1, 2)
    assert kept["samples"].tolist() == [1, 2, 3, 4]
    assert all(len(sequence(kept, k)) <= 300 for k in range(4))
    only = replace(long, decided=[QuickSlow(0, 1, 2.0, 1.5, 2.5, 5, confirmed=True)])
    assert token_data([only], tokenizer, tokens, Task.QVS, limits=Limits(300, 300)).account.problems_left_out == {
        "no decided pair within the limits of length": 1
    }


def test_a_sequence_of_exactly_max_length_is_kept(tokenizer: PreTrainedTokenizerBase, tokens: Path) -> None:
    rows = make_rows(1, "t")
    longest = max(len(sequence(token_data(rows, tokenizer, tokens).rows[0], k)) for k in range(5))
    assert token_data(rows, tokenizer, tokens, limits=Limits(longest, longest)).account.answers == 5
    assert token_data(rows, tokenizer, tokens, limits=Limits(longest - 1, longest)).account.answers == 4


def test_a_prompt_of_exactly_max_prompt_length_is_kept(tokenizer: PreTrainedTokenizerBase, tokens: Path) -> None:
    rows = make_rows(1, "t")
    prompt = int(token_data(rows, tokenizer, tokens).rows[0]["starts"][0])
    assert token_data(rows, tokenizer, tokens, limits=Limits(2048, prompt)).account.answers == 5
    left = token_data(rows, tokenizer, tokens, limits=Limits(2048, prompt - 1)).account
    assert left.answers_left_out == {f"the prompt is longer than {prompt - 1} tokens": 5}
    assert left.problems_left_out == {"no passing answer within the limits of length": 1}


def test_text_that_is_not_unicode_is_left_out_and_counted(tokenizer: PreTrainedTokenizerBase, tokens: Path) -> None:
    row = make_rows(1, "t")[0]
    broken = replace(row, answers=[replace(row.answers[0], text="    return '\ud800'\n"), *row.answers[1:]])
    data = token_data([broken], tokenizer, tokens)
    assert data.account.answers_left_out == {"not valid Unicode": 1}
    assert data.rows[0]["samples"].tolist() == [1, 2, 3, 4]


def test_tokens_go_to_disk_one_problem_at_a_time(tokenizer: PreTrainedTokenizerBase, tokens: Path) -> None:
    read: list[str] = []

    def rows() -> Iterator[MergedRow]:
        for row in make_rows(40, "t"):
            # What the rows before took is on disk by now (a buffer's length excepted), not in memory.
            (unfinished,) = tokens.parent.glob("*.tmp")
            read.append(row.id)
            assert unfinished.stat().st_size >= 1_000 * (len(read) - 20)
            yield row

    encoder = Encoder(tokenizer, Task.QVS, 100, Limits(2048, 1024))
    account = encoder.write(rows(), tokens)
    assert account == encoder.count(make_rows(40, "t"))
    assert (account.problems, account.answers) == (40, 200)
    opened = open_tokens(tokens)
    assert list(opened["task_id"]) == read
    assert account.tokens == sum(len(row["tokens"]) for row in opened) == sum(row["ends"][-1] for row in opened)
    assert opened.cache_files[0]["filename"] == str(tokens), "mapped, not read"


def test_an_interrupted_file_is_not_there(tokenizer: PreTrainedTokenizerBase, tokens: Path) -> None:
    def broken() -> Iterator[MergedRow]:
        yield from make_rows(3, "t")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Encoder(tokenizer, None, 100, Limits(2048, 1024)).write(broken(), tokens)
    assert list(tokens.parent.iterdir()) == []


def test_pairs_keep_their_evidence_on_the_way_to_the_draw(tokenizer: PreTrainedTokenizerBase, tokens: Path) -> None:
    row = make_rows(1, "t")[0]
    pairs = [QuickSlow(0, 1, 9, 2.0, 9, 5, True), QuickSlow(0, 2, 9, 8.0, 9, 5, True), QuickSlow(1, 2, 9, 3.0, 9, 5)]
    rule = PairRule(confirmed=True, min_ratio=1.5, weigh_by=WeighBy.CONFIDENCE)
    (kept,) = token_data([replace(row, decided=pairs)], tokenizer, tokens, Task.QVS, rule=rule).rows
    pool = build_pool(replace(row, decided=pairs), range(5), rule)[0]
    assert row_pool(kept).decided == pool.decided == ((0, 1), (0, 2))
    assert row_pool(kept).weights == pytest.approx(pool.weights)
    drawn: Counter[tuple[int, int]] = Counter()
    chosen = selection()
    for chosen.epoch in range(4000):
        drawn[chosen.pair(kept)] += 1
    assert drawn[(0, 2)] / 4000 == pytest.approx(3 / 4, abs=0.03), "log 8 is three times log 2"


def test_evaluation_rows_have_one_fixed_draw_whatever_the_seed_and_epoch(
    tokenizer: PreTrainedTokenizerBase, tokens: Path
) -> None:
    data = token_data(make_rows(5, "t"), tokenizer, tokens, Task.QVS, evaluation=True)
    drawn = {
        tuple(Selection(seed, 100, Task.QVS, augment=True, epoch=epoch).pair(row) for row in data.rows)
        for seed in range(3)
        for epoch in range(4)
    }
    assert len(drawn) == 1
    assert drawn == {tuple((row["fixed"][0], row["fixed"][1]) for row in data.rows)}


def test_without_augmentation_all_epochs_see_the_first_draw(tokenizer: PreTrainedTokenizerBase, tokens: Path) -> None:
    data = token_data(make_rows(8, "t"), tokenizer, tokens)

    def epochs(*, augment: bool) -> list[list[int]]:
        chosen = selection(augment=augment)
        drawn = []
        for chosen.epoch in range(5):
            drawn.append([chosen.answer(row) for row in data.rows])
        return drawn

    fixed, fresh = epochs(augment=False), epochs(augment=True)
    assert all(draw == fixed[0] for draw in fixed)
    assert fresh[0] == fixed[0]
    assert len({tuple(draw) for draw in fresh}) == 5


def test_sentencepiece_answers_get_no_space_in_front() -> None:
    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="first"), pre_tokenizers.Split("\n", "isolated")]
    )
    inner.decoder = decoders.Metaspace(prepend_scheme="first")
    corpus = [row.question + answer.text for row in make_rows(5, "t") for answer in row.answers]
    inner.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=400, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")
    context, target = "def add_1(values):\n    total = ", "values[0]\n    return total\n"
    together = token_ids(context, tokenizer) + encode_target(target, tokenizer)
    assert tokenizer.decode(together) == context + target
    naive = token_ids(context, tokenizer) + token_ids(target, tokenizer)
    assert tokenizer.decode(naive) != context + target, "this tokeniser would show nothing"


def test_merged_files_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "merged.jsonl"
    with pytest.raises(DataError, match="no merged data"):
        list(read_merged(path))
    row = make_rows(1, "t")[0]
    write_rows(path, [replace(row, decided=[QuickSlow(0, 4, 2.0, 1.5, 2.5, 5)])])
    with pytest.raises(DataError, match=r"merged\.jsonl:1.*not two passing"):
        list(read_merged(path))
    write_rows(path, [row, row])
    with pytest.raises(DataError, match=r"merged\.jsonl:2.*twice"):
        list(read_merged(path))
    write_rows(path, [replace(row, passing=9)])
    with pytest.raises(DataError, match="'passing'"):
        list(read_merged(path))
