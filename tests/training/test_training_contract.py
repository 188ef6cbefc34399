"""What is promised of every run: the same draws however it is run or taken up again, on record as they were seen, and
steps that TRL's own trainers would have made of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoTokenizer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.errors import DataError, UserError
from harness.progress import SilentReporter
from harness.store import write_rows
from tests.training.small_data import make_rows
from training.audit import UNROLLED, audit, digest, unroll
from training.config import TrainConfig
from training.dataset import open_tokens, sequence
from training.stage import train

pytestmark = pytest.mark.training

BASE: dict[str, Any] = {
    "task": "all",
    "top_p": 100,
    "epochs": 2,
    "batch_size": 1,
    "gradient_accumulation": 2,
    "learning_rate": 3e-3,
    "gradient_checkpointing": False,
    "device": "cpu",
    "precision": "fp32",
    "best_by": "none",
    "audit": True,
}
STEPS = 6  # two epochs of six problems, two a step
OPTIMS = ("sft", "dpo")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(folder: Path, key: str = "loss") -> dict[int, float]:
    return {
        entry["step"]: entry[key] for entry in json.loads((folder / "log_history.json").read_text()) if key in entry
    }


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class Finished:
    """An uninterrupted run with a checkpoint at every step, and all that it was made of."""

    def __init__(self, optim: str, model: Path, root: Path) -> None:
        self.model, self.folder = model, root / "whole"
        self.files = (root / "train.jsonl", root / "validation.jsonl")
        for path, rows_ in zip(self.files, (make_rows(6, "train"), make_rows(3, "validation")), strict=True):
            write_rows(path, rows_)
        kept = {"checkpoint_every": 1, "save_total_limit": STEPS, "keep_checkpoints": True}
        self.config = TrainConfig(**BASE, **kept, optim=optim)
        self.again(self.folder, self.config)

    def again(self, folder: Path, config: TrainConfig) -> None:
        train(*self.files, self.model, folder, config, reporter=SilentReporter())

    @property
    def seen(self) -> list[dict[str, Any]]:
        return rows(self.folder / "seen-0.jsonl")


@pytest.fixture(scope="module", params=OPTIMS)
def finished(request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(request.param, tiny_model, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("step", range(1, STEPS))
def test_taken_up_from_any_checkpoint_a_run_is_the_one_that_was_not_interrupted(
    step: int, finished: Finished, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    later = [f"checkpoint-{number}" for number in range(step + 1, STEPS + 1)]
    # All that was seen is still there, as after a crash long past the checkpoint.
    shutil.copytree(finished.folder, cut, ignore=shutil.ignore_patterns("training.json", *later))
    (cut / "model.safetensors").unlink()
    finished.again(cut, finished.config)
    assert json.loads((cut / "training.json").read_text())["resumed_from"] == step
    assert (cut / "seen-0.jsonl").read_bytes() == (finished.folder / "seen-0.jsonl").read_bytes()
    assert losses(cut) == losses(finished.folder)
    assert losses(cut, "eval_loss") == losses(finished.folder, "eval_loss")
    assert len(losses(cut)) == STEPS
    assert same_weights(cut, finished.folder)


def test_workers_that_prepare_batches_draw_the_same(finished: Finished, tmp_path: Path) -> None:
    finished.again(tmp_path / "workers", finished.config.model_copy(update={"workers": 2}))
    assert rows(tmp_path / "workers" / "seen-0.jsonl") == finished.seen
    assert losses(tmp_path / "workers") == losses(finished.folder)


def test_what_was_seen_is_what_was_drawn_once_each(finished: Finished) -> None:
    draws = rows(finished.folder / "draws.jsonl")
    stripped = [{key: row[key] for key in draws[0]} for row in finished.seen]
    assert len(draws) == 12

    def key(row: dict[str, Any]) -> tuple[int, str]:
        return row["epoch"], row["task_id"]

    assert sorted(stripped, key=key) == sorted(draws, key=key)
    assert [row["position"] for row in finished.seen] == list(range(12))
    assert [row["step"] for row in finished.seen] == [number // 2 for number in range(12)]
    assert [row["task_id"] for row in finished.seen[:6]] != [row["task_id"] for row in finished.seen[6:]], "shuffled"
    found = audit(finished.folder)
    assert (found.seen, found.unseen, found.repeated) == (12, 0, 0)


def test_epochs_draw_anew_and_evaluation_never(finished: Finished) -> None:
    drawn = [{row["task_id"]: row["sha256"] for row in finished.seen if row["epoch"] == epoch} for epoch in (0, 1)]
    assert drawn[0].keys() == drawn[1].keys()
    assert drawn[0] != drawn[1]
    assert all(not row["task_id"].startswith("validation") for row in finished.seen)


def test_evaluation_is_the_same_for_every_seed(finished: Finished, tmp_path: Path) -> None:
    """A rate of nearly nothing: what differs between the figures of two runs is what they were made of."""
    for seed in (1, 2):
        still = {"seed": seed, "learning_rate": 1e-30, "checkpoint_every": 3, "audit": False}
        finished.again(tmp_path / str(seed), finished.config.model_copy(update=still))
    # A pair's loss is log 2 for a model that is its own reference, whatever the pair; its log-probabilities tell.
    figure = "loss" if finished.config.optim == "sft" else "logps/chosen"
    evaluated = [losses(tmp_path / str(seed), f"eval_{figure}") for seed in (1, 2)]
    assert evaluated[0] == evaluated[1]
    assert len(evaluated[0]) == 2
    assert len(set(evaluated[0].values())) == 1
    trained = [losses(tmp_path / str(seed), figure) for seed in (1, 2)]
    assert trained[0] != trained[1], "the seeds draw otherwise, or the test says nothing"


def test_the_digests_on_record_are_those_of_the_tokens(finished: Finished) -> None:
    data = open_tokens(finished.folder / "tokens" / "train.arrow")
    by_sample = {
        (row["task_id"], int(sample)): digest(sequence(row, k))
        for row in data
        for k, sample in enumerate(row["samples"])
    }
    for row in finished.seen:
        samples = [row[part] for part in ("answer", "chosen", "rejected") if part in row]
        assert row["sha256"] == [by_sample[(row["task_id"], sample)] for sample in samples]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("draws.jsonl", (r'("answer"|"rejected"): (\d+)', r"\1: 999"), "saw .* drawn was"),
        ("seen-0.jsonl", (r'("answer"|"rejected"): (\d+)', r"\1: 999"), "saw .* drawn was"),
        ("seen-0.jsonl", (r'"sha256": \["....', '"sha256": ["0000'), "other tokens"),
        ("seen-0.jsonl", (r'"task_id": "train', '"task_id": "other'), "drawn was None"),
    ],
)
def test_a_change_of_one_row_is_found(
    name: str, change: tuple[str, str], message: str, finished: Finished, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    lines = (copy / name).read_text().splitlines()
    lines[7], changes = re.subn(*change, lines[7], count=1)
    assert changes == 1
    (copy / name).write_text("".join(line + "\n" for line in lines))
    with pytest.raises(DataError, match=message) as caught:
        audit(copy)
    assert "seen-0.jsonl:" in caught.value.where


def test_a_draw_that_no_step_was_given_is_counted(finished: Finished, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished.folder, copy, ignore=shutil.ignore_patterns("checkpoints"))
    lines = (copy / "seen-0.jsonl").read_text().splitlines(keepends=True)
    (copy / "seen-0.jsonl").write_text("".join([*lines[:5], lines[4], *lines[6:]]))
    found = audit(copy)
    assert (found.seen, found.unseen, found.repeated) == (12, 1, 1)


def test_without_audit_nothing_is_kept_and_it_cannot_begin_in_the_middle(finished: Finished, tmp_path: Path) -> None:
    config = finished.config.model_copy(update={"audit": False, "checkpoint_every": 3})
    finished.again(tmp_path / "plain", config)
    assert not list((tmp_path / "plain").glob("seen-*"))
    assert not (tmp_path / "plain" / "tokens").exists()
    assert same_weights(tmp_path / "plain", finished.folder)
    with pytest.raises(UserError, match="no record of what was seen"):
        audit(tmp_path / "plain")
    with pytest.raises(UserError, match="audit: False there, True now"):
        finished.again(tmp_path / "plain", config.model_copy(update={"audit": True}))


def test_trl_alone_makes_the_same_steps_of_the_unrolled_run(finished: Finished, tmp_path: Path) -> None:
    """TRL's trainers, its collators, its own preparation: nothing of ours but the rows."""
    static = list(unroll(finished.folder))
    write_rows(tmp_path / UNROLLED, static)
    shared: dict[str, Any] = {
        "output_dir": str(tmp_path / "stock"),
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2,
        "learning_rate": 3e-3,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "linear",
        "max_length": 2048,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "seed": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
    }
    data = Dataset.from_list(static)
    start: dict[str, Any] = {
        "model": str(finished.model),
        "processing_class": AutoTokenizer.from_pretrained(finished.model),
    }
    if finished.config.optim == "sft":
        stock = SFTTrainer(args=SFTConfig(**shared), train_dataset=data, **start)
    else:
        assert all(row["text_exact"] for row in static)
        data = data.remove_columns(["prompt_ids", "chosen_ids", "rejected_ids"])
        stock = DPOTrainer(args=DPOConfig(**shared, beta=0.1), train_dataset=data, **start)
    stock.train()
    theirs = {entry["step"]: entry["loss"] for entry in stock.state.log_history if "loss" in entry}
    assert theirs == pytest.approx(losses(finished.folder), rel=1e-6, abs=0)
    assert len(theirs) == STEPS
    ours = load_file(finished.folder / "model.safetensors")
    for name, tensor in stock.model.state_dict().items():
        if name in ours:
            torch.testing.assert_close(tensor, ours[name], rtol=0, atol=1e-6)
