"""RLOO and GRPO on what the model writes while it is trained: TRL's trainers, with our prompts and our sampling loop.

TRL would tokenise a prompt with the tokeniser's own special tokens on top, and write on until an end-of-text token that
a base model hardly ever gives. Three private hooks of TRL 1.16 are overridden, and tests/training/test_online.py says
when they change; `rollout_func`, which is meant for this, is there for GRPO only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.utils import is_peft_model
from datasets import Dataset
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer
from trl.trainer.utils import RepeatSampler

from harness.errors import UserError
from harness.prompts import token_ids
from training.config import TrainConfig
from training.rollouts import Rollouts
from training.trainers import check_passed_on, common_arguments, lora_config, pad_token_id

# What would write other completions than `sample` does, or more than one batch of them a step.
_SAMPLING_IS_OURS = "completions are written as `sample` writes them (online: temperature, max_new_tokens)"
_NOT_ONLINE = {
    **dict.fromkeys(("top_p", "top_k", "min_p", "repetition_penalty", "generation_kwargs"), _SAMPLING_IS_OURS),
    **dict.fromkeys(("use_vllm", "use_transformers_continuous_batching", "use_transformers_paged"), _SAMPLING_IS_OURS),
    **dict.fromkeys(("generation_batch_size", "steps_per_generation"), "a step learns from one batch of completions"),
    "chat_template_kwargs": "prompts are rendered by harness/prompts.py",
    "reward_weights": "there is one reward",
}


class _EpochSampler(Sampler[int]):
    """TRL's order of prompts, begun anew in each epoch from seed and epoch: TRL's own goes on from the epoch before,
    which a resumed run has not been through."""

    def __init__(self, repeated: RepeatSampler, seed: int) -> None:
        self._repeated, self._seed = repeated, seed

    def set_epoch(self, epoch: int) -> None:
        self._repeated.generator.manual_seed(self._seed * 1_000_003 + epoch)

    def __iter__(self) -> Iterator[int]:
        return iter(self._repeated)

    def __len__(self) -> int:
        return len(self._repeated)


class _Online:
    """What both trainers need; mixed in before TRL's class."""

    rollouts: Rollouts
    args: Any
    accelerator: Any
    model_wrapped: Any
    processing_class: Any
    state: Any

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        return _EpochSampler(super()._get_train_sampler(dataset), self.args.seed)  # type: ignore[misc]

    def _tokenize_prompts(self, prompts: Sequence[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [token_ids(prompt, self.processing_class) for prompt in prompts], None, {}

    def _written(self, prompt_ids: Sequence[Sequence[int]]) -> list[list[int]]:
        with self._live_model() as model:
            return self.rollouts.write(model, prompt_ids, self.state.global_step)

    @contextmanager
    def _live_model(self) -> Iterator[Any]:
        """The model as it is now, without gradient checkpointing and dropout."""
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            training = model.training
            model.eval()
            try:
                yield model.get_base_model() if is_peft_model(model) else model  # LoRA's layers are inside the base
            finally:
                model.train(training)


class OnlineRLOO(_Online, RLOOTrainer):
    def _generate_single_turn(self, prompt_ids: Any, images: Any, multimodal_fields: Any) -> list[list[int]]:
        return self._written(prompt_ids)


class OnlineGRPO(_Online, GRPOTrainer):
    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> tuple[list[list[int]], None]:
        return self._written(prompt_ids), None  # None: the log-probabilities are the trainer's own


def online_arguments(config: TrainConfig, output_dir: Path) -> RLOOConfig | GRPOConfig:
    """The trainer's arguments. Raises UserError for `trainer:` settings that are unknown, unsafe or already ours."""
    kind: type[Any] = RLOOConfig if config.optim == "rloo" else GRPOConfig
    ours = common_arguments(config, output_dir, evaluate=False)
    del ours["max_length"]
    ours |= {
        "num_generations": config.online.generations,
        "max_completion_length": config.online.max_new_tokens,
        "temperature": config.online.temperature,
        "beta": config.online.beta,
    }
    for key in config.trainer:
        if key in _NOT_ONLINE:
            raise UserError(f"'trainer.{key}' can't be used: {_NOT_ONLINE[key]}", fix="leave it out")
    check_passed_on(config, kind, ours)
    arguments: RLOOConfig | GRPOConfig = kind(**ours, **config.trainer)
    return arguments


def build_online_trainer(
    config: TrainConfig,
    *,
    model_path: str,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Mapping[str, str],
    rollouts: Rollouts,
    args: RLOOConfig | GRPOConfig,
    callbacks: list[TrainerCallback],
) -> OnlineRLOO | OnlineGRPO:
    """A trainer that is ready to run. prompts: the rendered contexts by task_id."""
    pad_token_id(tokenizer)
    kind: type[Any] = OnlineRLOO if config.optim == "rloo" else OnlineGRPO
    trainer: OnlineRLOO | OnlineGRPO = kind(
        model=model_path,
        reward_funcs=rollouts.reward,
        args=args,
        train_dataset=Dataset.from_list([{"prompt": text, "task_id": task_id} for task_id, text in prompts.items()]),
        processing_class=tokenizer,
        callbacks=callbacks,
        peft_config=lora_config(config),
    )
    trainer.rollouts = rollouts
    trainer.remove_callback(PrinterCallback)
    return trainer
