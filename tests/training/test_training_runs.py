"""Real runs on a tiny real model: that it learns, that an interrupted run ends as a whole one, what is left behind."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from huggingface_hub import constants
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from trl.trainer.dpo_trainer import DPOTrainer

from harness.errors import UserError
from harness.progress import SilentReporter, Task
from harness.prompts import render, token_ids
from harness.store import write_rows
from tests.training.small_data import make_rows, token_data
from training.collators import Selection
from training.config import TrainConfig, count_steps
from training.dataset import TokenRow, sequence
from training.selection import Task as DrawTask
from training.stage import TrainSummary, plan, train
from training.trainers import PairTrainer, arguments, build_trainer

pytestmark = pytest.mark.training

BASE: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 1,
    "gradient_accumulation": 2,
    "learning_rate": 3e-3,
    "gradient_checkpointing": False,
    "device": "cpu",
    "precision": "fp32",
}


class Listener(SilentReporter):
    """Keeps what is said; interrupts the run, as Ctrl-C would, once `stop_after` steps are done."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.done = self.total = 0
        self._stop_after = stop_after

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say

    @contextmanager
    def task(self, label: str, total: int, *, done: int = 0, unit: str = "") -> Iterator[Task]:
        self.done, self.total = done, total
        yield self

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        if self.done == self._stop_after:
            raise KeyboardInterrupt


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    return state


def same_weights(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("optim", ["sft", "dpo"])
def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    optim: str, tiny_model: Path, train_file: Path, validation_file: Path, tmp_path: Path
) -> None:
    config = TrainConfig(**BASE, optim=optim, task="all", top_p=100, checkpoint_every=2, best_by="none")
    whole = train(train_file, validation_file, tiny_model, tmp_path / "whole", config, reporter=SilentReporter())
    assert whole.steps == 12
    with pytest.raises(KeyboardInterrupt):
        train(train_file, validation_file, tiny_model, tmp_path / "cut", config, reporter=Listener(stop_after=6))
    unfinished = tmp_path / "cut" / "checkpoints" / "checkpoint-9"  # killed while it was written
    shutil.copytree(tmp_path / "cut" / "checkpoints" / "checkpoint-4", unfinished)
    (unfinished / "trainer_state.json").write_text('{"global_')
    listener = Listener()
    resumed = train(train_file, validation_file, tiny_model, tmp_path / "cut", config, reporter=listener)
    assert resumed.resumed_from == 4, "three steps an epoch: in the middle of the second"
    assert (listener.done, listener.total) == (12, 12)
    assert same_weights(tmp_path / "whole", tmp_path / "cut")
    assert (resumed.last_loss, resumed.eval_loss) == (whole.last_loss, whole.eval_loss)
    assert not same_weights(tmp_path / "whole", tiny_model)
    assert not (tmp_path / "cut" / "checkpoints").exists()


@pytest.mark.parametrize("optim", ["sft", "dpo"])
def test_the_draws_of_a_run_are_new_in_each_epoch_and_on_record(
    optim: str,
    tiny_model: Path,
    train_file: Path,
    validation_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, int, tuple[int, ...]]] = []
    draw_answer, draw_pair = Selection.answer, Selection.pair

    def answer(self: Selection, row: TokenRow) -> int:
        seen.append((str(row["task_id"]), self.epoch, (draw_answer(self, row),)))
        return seen[-1][2][0]

    def pair(self: Selection, row: TokenRow) -> tuple[int, int]:
        chosen, rejected = draw_pair(self, row)
        seen.append((str(row["task_id"]), self.epoch, (chosen, rejected)))
        return chosen, rejected

    monkeypatch.setattr(Selection, "answer", answer)
    monkeypatch.setattr(Selection, "pair", pair)
    config = TrainConfig(**BASE, optim=optim, task="all", top_p=100)
    out = tmp_path / "model"
    train(train_file, validation_file, tiny_model, out, config, reporter=SilentReporter())
    at_training = seen[: 4 * (6 + 3)]  # the record is drawn after that
    monkeypatch.undo()

    trained = [entry for entry in at_training if entry[0].startswith("train/")]
    by_epoch = [{task: drawn for task, epoch, drawn in trained if epoch == wanted} for wanted in range(4)]
    assert all(len(draws) == 6 for draws in by_epoch)
    assert len({tuple(sorted(draws.items())) for draws in by_epoch}) == 4
    validated = {(task, drawn) for task, _, drawn in at_training if task.startswith("validation/")}
    assert len(validated) == 3, "one draw per problem in four evaluations"
    for line in (out / "draws.jsonl").read_text().splitlines():
        entry = json.loads(line)
        samples = [entry["answer"]] if optim == "sft" else [entry["chosen"], entry["rejected"]]
        position = by_epoch[entry["epoch"]].pop(entry["task_id"])
        assert [sample % 10 for sample in samples] == list(position)
    assert not any(by_epoch)


def test_sft_learns_the_fastest_answer_and_where_it_ends(
    tiny_model: Path, train_file: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    config = TrainConfig(
        **(BASE | {"epochs": 25, "learning_rate": 1e-2}), top_p=33, best_by="none", checkpoint_every="never"
    )
    out = tmp_path / "model"
    summary = train(train_file, None, tiny_model, out, config, reporter=SilentReporter())
    assert summary.first_loss is not None
    assert summary.last_loss is not None
    assert summary.last_loss < summary.first_loss / 10
    model = AutoModelForCausalLM.from_pretrained(out)
    row = make_rows(1, "train")[0]
    context = render(row.question, tokenizer)
    ids = torch.tensor([token_ids(context.text, tokenizer)])
    written = model.generate(ids, max_new_tokens=40, do_sample=False)[0, ids.shape[1] :].tolist()
    assert written[-1] == AutoTokenizer.from_pretrained(out).eos_token_id
    assert context.lead + tokenizer.decode(written[:-1]) == row.answers[0].text


def margin(folder: Path, tokenizer: PreTrainedTokenizerBase, tokens: Path) -> float:
    """How much more likely the fastest answer is than the slowest passing one: mean difference of log-probabilities."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    data = token_data(make_rows(6, "train"), tokenizer, tokens, DrawTask.QVS)
    total = 0.0
    for row in data.rows:
        for k, sign in ((0, 1), (2, -1)):
            ids, start = torch.tensor([sequence(row, k)]), row["starts"][k]
            with torch.no_grad():
                logits = model(ids).logits[0, start - 1 : -1]
            chances = logits.log_softmax(-1).gather(1, ids[0, start:, None])
            total += sign * float(chances.sum())
    return total / data.account.problems


def test_dpo_prefers_quick_over_slow(
    tiny_model: Path, train_file: Path, validation_file: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    config = TrainConfig(**(BASE | {"epochs": 8, "learning_rate": 1e-3}), optim="dpo", task="qvs")
    out = tmp_path / "model"
    summary = train(train_file, validation_file, tiny_model, out, config, reporter=SilentReporter())
    assert summary.first_loss == pytest.approx(0.6931, abs=1e-3), "the reference is the model itself"
    assert summary.last_loss is not None
    assert summary.last_loss < 0.3
    tokens = tmp_path / "tokens.arrow"
    assert margin(out, tokenizer, tokens) > margin(tiny_model, tokenizer, tokens) + 5


def test_the_best_checkpoint_is_kept(tiny_model: Path, train_file: Path, validation_file: Path, tmp_path: Path) -> None:
    config = TrainConfig(**(BASE | {"learning_rate": 0.05}), keep_checkpoints=True)  # far too high: it gets worse
    summary = train(train_file, validation_file, tiny_model, tmp_path / "model", config, reporter=SilentReporter())
    history = json.loads((tmp_path / "model" / "log_history.json").read_text())
    losses = {entry["step"]: entry["eval_loss"] for entry in history if "eval_loss" in entry}
    assert len(losses) == 4
    assert summary.eval_loss == min(losses.values())
    assert losses[summary.kept_step] == min(losses.values())
    assert same_weights(tmp_path / "model", tmp_path / "model" / "checkpoints" / f"checkpoint-{summary.kept_step}")


def test_a_finished_folder_tells_all_and_is_not_trained_again(
    tiny_model: Path, train_file: Path, validation_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    config = TrainConfig(**BASE, max_steps=2)
    arguments_ = (train_file, validation_file, tiny_model, out)
    first = train(*arguments_, config, reporter=SilentReporter(), facts={"host": "a | b"})
    again = train(*arguments_, config.model_copy(update={"logging_steps": 9}), reporter=SilentReporter())
    assert again.finished_before
    assert not first.finished_before
    assert {p.name for p in out.iterdir()} >= {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md", "training.json",
        "trainer_state.json", "log_history.json", "draws.jsonl", "manifest.json",
    }  # fmt: skip
    assert not list(out.glob("**/*.bin")), "no pickles"
    card = (out / "README.md").read_text()
    for expected in ("# sft-25", "| answers | 30 |", "a \\| b", "learning_rate | 0.003", "library_name"):
        assert expected in card
    assert str(tiny_model) not in card
    with pytest.raises(UserError, match=r"learning_rate: 0\.003 there, 0\.1 now"):
        train(*arguments_, config.model_copy(update={"learning_rate": 0.1}), reporter=SilentReporter())
    changed = config.model_copy(update={"learning_rate": 0.1})
    assert not train(*arguments_, changed, reporter=SilentReporter(), overwrite=True).finished_before
    write_rows(train_file, make_rows(5, "train"))
    with pytest.raises(UserError, match="train: "):
        train(*arguments_, changed, reporter=SilentReporter())


def test_a_folder_of_someone_else_is_never_cleared(tiny_model: Path, train_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("…")
    with pytest.raises(UserError, match="not made here"):
        train(train_file, None, tiny_model, tmp_path / "mine", TrainConfig(), reporter=SilentReporter(), overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


@pytest.mark.parametrize("optim", ["sft", "dpo"])
def test_lora_leaves_a_merged_model_and_the_adapter(
    optim: str, tiny_model: Path, train_file: Path, validation_file: Path, tmp_path: Path
) -> None:
    config = TrainConfig(**BASE, optim=optim, lora={"r": 4, "alpha": 8})
    out = tmp_path / "model"
    summary = train(train_file, validation_file, tiny_model, out, config, reporter=SilentReporter())
    before, after = weights(tiny_model), weights(out)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "_proj" in name}
    assert (out / "adapter" / "adapter_model.safetensors").exists()
    assert summary.first_loss is not None
    assert summary.last_loss is not None
    assert summary.last_loss < summary.first_loss


def test_precomputed_reference_log_probabilities_give_the_same_model_for_fixed_pairs(
    tiny_model: Path, train_file: Path, validation_file: Path, tmp_path: Path
) -> None:
    def run(name: str, **more: Any) -> TrainSummary:
        config = TrainConfig(**BASE, optim="dpo", augment=False, **more)
        return train(train_file, validation_file, tiny_model, tmp_path / name, config, reporter=SilentReporter())

    live, precomputed = run("live"), run("precomputed", trainer={"precompute_ref_log_probs": True})
    assert precomputed.last_loss == pytest.approx(live.last_loss, rel=1e-4)
    assert precomputed.eval_loss == pytest.approx(live.eval_loss, rel=1e-4)


def test_data_without_a_usable_problem_says_why(tiny_model: Path, train_file: Path, tmp_path: Path) -> None:
    config = TrainConfig(**BASE, max_length=20)
    with pytest.raises(UserError, match=r"no problem can be used .0 problems .* 30 answers: longer than 20 tokens"):
        train(train_file, None, tiny_model, tmp_path / "model", config, reporter=SilentReporter())
    assert not (tmp_path / "model").exists()


def test_a_loss_that_is_not_finite_ends_the_run(tiny_model: Path, train_file: Path, tmp_path: Path) -> None:
    config = TrainConfig(**(BASE | {"learning_rate": 1e30, "warmup": 0}), max_grad_norm=0)
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at step"):
        train(train_file, None, tiny_model, tmp_path / "model", config, reporter=SilentReporter())


@pytest.mark.parametrize("sizes", [(1, 2, 4), (4, 1, 3), (2, 4, 2), (3, 3, 5)])
def test_the_plan_counts_steps_as_the_trainer_does(
    sizes: tuple[int, int, int], tiny_model: Path, train_file: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    batch, accumulation, epochs = sizes
    settings = BASE | {"batch_size": batch, "gradient_accumulation": accumulation, "epochs": epochs}
    config = TrainConfig(**settings, warmup=0.3, best_by="none", checkpoint_every="never")
    expected = plan(train_file, None, config)["steps"]
    data = token_data(make_rows(6, "train"), tokenizer, tmp_path / "tokens.arrow")
    trainer = build_trainer(
        config,
        model_path=str(tiny_model),
        tokenizer=tokenizer,
        train_rows=data.rows,
        validation_rows=None,
        args=arguments(config, tmp_path / "checkpoints", evaluate=False),
        callbacks=[],
    )
    trainer.train()
    assert trainer.state.max_steps == trainer.state.global_step == expected["total"]
    assert trainer.args.get_warmup_steps(expected["total"]) == expected["warmup"]
    assert expected["per_epoch"] * epochs == expected["total"]
    assert count_steps(config, 6, processes=2).total <= expected["total"]


def test_the_private_hook_of_trl_is_as_expected() -> None:
    assert trl.__version__ == "1.16.0", "read training/trainers.py against the new version, then change this line"
    expected = ["self", "dataset", "processing_class", "args", "dataset_name"]
    assert list(inspect.signature(DPOTrainer._prepare_dataset).parameters) == expected
    assert list(inspect.signature(PairTrainer._prepare_dataset).parameters) == expected


def test_no_trainer_start_is_reported_to_anyone() -> None:
    assert constants.HF_HUB_DISABLE_TELEMETRY is True


def test_the_built_in_model_trains(train_file: Path, tmp_path: Path) -> None:
    from harness.sampling.models import resolve_model

    model = resolve_model("smollm2-135m", SilentReporter())
    config = TrainConfig(
        **(BASE | {"learning_rate": 1e-4, "batch_size": 2, "gradient_accumulation": 1, "precision": "auto"}),
        max_steps=3,
        best_by="none",
        checkpoint_every="never",
    )
    out = tmp_path / "model"
    summary = train(train_file, None, model, out, config, reporter=SilentReporter())
    assert summary.first_loss is not None
    assert summary.last_loss is not None
    assert summary.last_loss < summary.first_loss
    assert AutoModelForCausalLM.from_pretrained(out).config.model_type == "llama"
