"""Exported data sets in stock trainers of TRL: taken as they are, and with the tokens that sampling and our own
training have."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from harness.cli import asked
from harness.cli.exchange import Wanted, export
from harness.exchange.choosing import fastest
from harness.exchange.rendering import model_rendering
from harness.progress import SilentReporter
from harness.prompts import opening_token, render, token_ids
from harness.records import MergedRow
from harness.store import write_rows
from tests.training.small_data import make_rows
from training.quiet import quiet_libraries
from training.selection import build_pool, draw_answer, generator

pytestmark = pytest.mark.training


def rows() -> list[MergedRow]:
    return [
        replace(row, decided=[replace(pair, confirmed=True) for pair in row.decided]) for row in make_rows(4, "train")
    ]


def exported(tmp_path: Path, what: str, model: Path | None, **options: object) -> datasets.Dataset:
    where = asked.Where(tmp_path / "runs", "x", "starter", ("train",))
    write_rows(where.paths.datasets("train") / "merged.jsonl", rows())
    wanted = Wanted(what, tmp_path / what, model_path=str(model) if model else None, **options)  # type: ignore[arg-type]
    export(where, wanted, SilentReporter())
    return datasets.load_dataset(str(tmp_path / what), split="train", cache_dir=str(tmp_path / "cache"))


def arguments(tmp_path: Path) -> dict[str, object]:
    return {
        "output_dir": str(tmp_path / "trained"),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "save_strategy": "no",
        "disable_tqdm": True,
    }


@pytest.mark.parametrize("rendered", [True, False])
def test_a_stock_dpo_trainer_takes_the_pairs(
    tmp_path: Path, tiny_model: Path, tokenizer: PreTrainedTokenizerBase, rendered: bool
) -> None:
    pairs = exported(tmp_path, "preference", tiny_model if rendered else None)
    assert len(pairs) == 4 * 3
    with quiet_libraries():
        trainer = DPOTrainer(
            str(tiny_model),
            args=DPOConfig(**arguments(tmp_path)),  # type: ignore[arg-type]
            train_dataset=pairs,
            processing_class=tokenizer,
        )
        trainer.train()
    assert trainer.state.global_step == 1
    assert trainer.state.log_history[-1]["train_loss"] > 0
    for pair, tokens in zip(pairs, trainer.train_dataset, strict=True):
        question = rows()[int(pair["task_id"].split("/")[1])].question
        if rendered:  # a bare prompt's last line end may merge with the answer's indent: TRL warns of it
            assert tokens["prompt_ids"] == token_ids(render(question, tokenizer).text, tokenizer)
        for column in ("chosen", "rejected"):
            whole = tokenizer.decode(tokens["prompt_ids"] + tokens[f"{column}_ids"])
            assert whole == pair["prompt"] + pair[column] + str(tokenizer.eos_token)


def test_a_stock_sft_trainer_takes_the_solutions(
    tmp_path: Path, tiny_model: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    solutions = exported(tmp_path, "sft", tiny_model, top_p=34.0)
    assert len(solutions) == 4 * 2
    with quiet_libraries():
        trainer = SFTTrainer(
            str(tiny_model),
            args=SFTConfig(**arguments(tmp_path)),  # type: ignore[arg-type]
            train_dataset=solutions,
            processing_class=tokenizer,
        )
        trainer.train()
    assert trainer.state.log_history[-1]["train_loss"] > 0
    for solution, tokens in zip(solutions, trainer.train_dataset, strict=True):
        question = rows()[int(solution["task_id"].split("/")[1])].question
        both = zip(tokens["input_ids"], tokens["labels"], strict=True)
        given = [token for token, label in both if label == -100]
        assert given == token_ids(render(question, tokenizer).text, tokenizer)


def test_a_tokenizers_own_opening_token_is_not_written_twice(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    from tokenizers.processors import TemplateProcessing

    opening = copy.deepcopy(tokenizer)
    opening.chat_template = None
    bos, number = str(opening.bos_token), opening.bos_token_id
    opening.backend_tokenizer.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, number)])
    opening.save_pretrained(tmp_path)
    assert opening_token(opening) == bos
    assert opening_token(tokenizer) == ""
    prompt, completion = model_rendering(tmp_path)("def f():\r\n", "    pass\n")
    context = render("def f():\r\n", opening).text
    assert context.startswith(bos)
    assert opening(prompt)["input_ids"] == token_ids(context, opening)
    assert context.removeprefix(bos) == prompt
    assert prompt + completion == "def f():\n    pass\n"


@pytest.mark.parametrize("top_p", [1, 25, 50, 75, 100])
def test_exported_solutions_are_those_that_training_may_draw(top_p: float) -> None:
    (row,) = make_rows(1, "t")
    tied = [replace(answer, tier=0) if k < 2 else answer for k, answer in enumerate(row.answers)]
    untiered = [replace(answer, tier=None) for answer in row.answers]
    for answers in (row.answers, tied, untiered):
        one = replace(row, answers=answers)
        pool, order = build_pool(one, range(len(answers)))
        drawn = {order[draw_answer(pool, top_p, generator(1, epoch, "t"))] for epoch in range(200)}
        assert drawn == set(range(len(fastest(one, top_p))))
