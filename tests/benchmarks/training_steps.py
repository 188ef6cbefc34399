"""Our trainers and TRL's own, step by step on the same batches, in turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_callback import PrinterCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.records import Answer, MergedRow, QuickSlow
from harness.store import write_rows
from tests.benchmarks.figures import Range, over_rounds
from training.audit import TRAIN_TOKENS, SeenFile, unroll
from training.config import TrainConfig
from training.dataset import Encoder, Limits, open_tokens, read_merged
from training.outputs import record_draws
from training.quiet import quiet_libraries
from training.trainers import arguments, build_trainer


@dataclass(frozen=True, slots=True)
class Turns:
    """Seconds of each step of each turn: {"wall": [turn][step], "cpu": …}, ours and TRL's."""

    ours: list[dict[str, list[float]]]
    stock: list[dict[str, list[float]]]

    @property
    def steps_a_turn(self) -> int:
        return len(self.ours[0]["wall"])

    def milliseconds(self, whose: str, clock: str) -> Range | None:
        """A step's time, mean over a turn; over turns."""
        turns: list[dict[str, list[float]]] = getattr(self, whose)
        return over_rounds(1_000 * sum(turn[clock]) / len(turn[clock]) for turn in turns)

    def ratio(self, clock: str) -> Range | None:
        return over_rounds(sum(a[clock]) / sum(b[clock]) for a, b in zip(self.ours, self.stock, strict=True))

    @property
    def ratios(self) -> dict[str, Any]:
        named = {clock: self.ratio(clock) for clock in ("wall", "cpu")}
        return {
            clock: {"median": r.median, "low": r.low, "high": r.high, "n": r.count} for clock, r in named.items() if r
        }


class Clock(TrainerCallback):
    """The time between the ends of two steps: all of a step, preparing its batches included. The first is warm-up."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self.times: dict[str, list[float]] = {"wall": [], "cpu": []}

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        now = time.perf_counter(), time.process_time()
        if self._last is not None:
            for name, end, begin in zip(self.times, now, self._last, strict=True):
                self.times[name].append(end - begin)
        self._last = now

    def taken(self) -> dict[str, list[float]]:
        """The times of a turn; the next begins anew."""
        times, self.times, self._last = self.times, {"wall": [], "cpu": []}, None
        return times


def made_up_row(number: int, answers: int, lines: int) -> MergedRow:
    """A problem whose answers have so many lines; half of them pass, and all pairs of these are decided."""

    def body(k: int) -> str:
        return "".join(f"    x{i} = values[{i}] + {97 * k + i}\n" for i in range(lines))

    passing = max(2, answers // 2)
    return MergedRow(
        id=f"made-up/{number}",
        question=f'def f{number}(values):\n    """Number {number}."""\n',
        entry_point=f"f{number}",
        answers=[
            Answer(
                text=body(1_000 * number + k),
                votes=100.0 + k if k < passing else None,
                sample_id=k,
                solution_id=f"{k:016x}",
                verdict="PASSED" if k < passing else "WRONG",
                integrity="strong",
                tier=k if k < passing else None,
            )
            for k in range(answers)
        ],
        time={},
        passing=passing,
        decided=[
            QuickSlow(i, j, 2.0, 1.5, 2.5, 5, confirmed=True) for i in range(passing) for j in range(i + 1, passing)
        ],
    )


def byte_tokenizer() -> PreTrainedTokenizerBase:
    """A token a byte: with a real vocabulary, a small model's step is nearly all output layer."""
    alphabet = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    inner = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", pad_token="</s>")


def small_model(folder: Path) -> Path:
    """Four narrow Llama layers with random weights, on bytes."""
    tokenizer = byte_tokenizer()
    set_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "tiny")
    tokenizer.save_pretrained(folder / "tiny")
    return folder / "tiny"


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compare_steps(optim: str, model: Path, folder: Path, *, turns: int, steps: int, lines: int) -> Turns:
    """Both trainers, built once, train `steps` + 1 steps a turn, each on the batches of the same epoch of ours."""
    config = TrainConfig(
        optim=optim,
        top_p=100,
        epochs=1,
        batch_size=2,
        gradient_accumulation=1,
        learning_rate=1e-6,
        gradient_checkpointing=False,
        device="cpu",
        precision="fp32",
        checkpoint_every="never",
        best_by="none",
        logging_steps=1_000,
    )
    folder.mkdir()
    write_rows(folder / "merged.jsonl", (made_up_row(number, 100, lines) for number in range(2 * (steps + 1))))
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.save_pretrained(folder)
    encoder = Encoder(tokenizer, config.draws, config.top_p, Limits(2048, 1024), config.rule)
    encoder.write(read_merged(folder / "merged.jsonl"), folder / TRAIN_TOKENS)
    with quiet_libraries(), one_thread():
        clocks = Clock(), Clock()
        trainers = (
            _ours(config, model, folder, tokenizer, clocks[0]),
            _stock(config, model, folder, tokenizer, clocks[1]),
        )
        taken: tuple[list[dict[str, list[float]]], list[dict[str, list[float]]]] = ([], [])
        for turn in range(turns):
            for which in (0, 1) if turn % 2 == 0 else (1, 0):
                trainers[which].train()
                taken[which].append(clocks[which].taken())
    return Turns(*taken)


def _ours(config: TrainConfig, model: Path, folder: Path, tokenizer: PreTrainedTokenizerBase, clock: Clock) -> Trainer:
    """Our trainer, after one run on record in `folder`: what that saw is what every other run of it sees."""
    seen = SeenFile(folder, 0)

    def built(record: SeenFile | None) -> Trainer:
        return build_trainer(
            config,
            model_path=str(model),
            tokenizer=tokenizer,
            train_rows=open_tokens(folder / TRAIN_TOKENS),
            validation_rows=None,
            args=arguments(config, folder / "ours", evaluate=False),
            callbacks=[clock],
            seen=record,
        )

    built(seen).train()
    seen.close()
    clock.taken()
    record_draws(folder, config, open_tokens(folder / TRAIN_TOKENS), epochs=1)
    return built(None)


def _stock(config: TrainConfig, model: Path, folder: Path, tokenizer: PreTrainedTokenizerBase, clock: Clock) -> Trainer:
    """TRL's trainer on static rows of what ours saw."""
    data = Dataset.from_list(list(unroll(folder)))
    shared: dict[str, Any] = {
        "output_dir": str(folder / "stock"),
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "learning_rate": config.learning_rate,
        "warmup_steps": config.warmup,
        "lr_scheduler_type": config.scheduler,
        "max_length": config.max_length,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "seed": config.seed,
        "logging_steps": config.logging_steps,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    start: dict[str, Any] = {"model": str(model), "processing_class": tokenizer, "callbacks": [clock]}
    trainer: Trainer
    if config.optim == "sft":
        trainer = SFTTrainer(args=SFTConfig(**shared), train_dataset=data, **start)
    else:
        trainer = DPOTrainer(args=DPOConfig(**shared, beta=config.beta), train_dataset=data, **start)
    trainer.remove_callback(PrinterCallback)
    return trainer
