"""Training on rewards: a run with the real sandbox, what is learnt from, how it goes on, what it refuses.

On a CPU TRL scores every position over the whole vocabulary, the prompt's too: rows are what these runs cost.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_trainer import RLOOTrainer

from harness.errors import UserError
from harness.problems import load_problems, starter_solutions
from harness.progress import SilentReporter
from harness.prompts import render, token_ids
from harness.records import FinishReason
from harness.reward.judging import JudgeSettings, SandboxJudge
from harness.reward.rule import Outcome
from harness.sampling.backend import TransformersSampler
from harness.sampling.live import LiveWriter
from harness.sampling.models import resolve_model
from harness.sampling.settings import Row, SamplingSettings
from harness.store import parse_row, read_rows
from sandbox import Integrity, Sandbox, Verdict, allowed_cores
from training.config import TrainConfig, load_config
from training.online import OnlineGRPO, OnlineRLOO, online_arguments
from training.online_stage import OnlineSummary, render_prompts, train_online
from training.rollouts import Judge, RewardRow, Rollouts, summarize_rewards

pytestmark = pytest.mark.training

NAMES = ("starter/sum_to_n", "starter/largest")
PROBLEMS = [problem for problem in load_problems("starter", ["train"]) if problem.task_id in NAMES]
REFERENCES = {name: starter_solutions()[name][1].code for name in NAMES}
ONLINE = {"generations": 2, "max_new_tokens": 8, "temperature": 1.0, "beta": 0.0}
BASE: dict[str, Any] = {
    "batch_size": 4,
    "gradient_accumulation": 1,
    "max_steps": 3,
    "learning_rate": 1e-2,
    "scheduler": "constant",
    "warmup": 0,
    "checkpoint_every": 1,
    "gradient_checkpointing": False,
    "device": "cpu",
    "precision": "fp32",
}
CORE = allowed_cores()[-1]


def config(optim: str, *, online: Mapping[str, Any] = ONLINE, **changed: Any) -> TrainConfig:
    return TrainConfig.model_validate({**BASE, "optim": optim, "online": dict(online), **changed})


def writer(settings: TrainConfig) -> LiveWriter:
    online = settings.online
    sampling = SamplingSettings(
        n_seq=online.generations, temperature=online.temperature, max_new_tokens=online.max_new_tokens
    )
    return LiveWriter({problem.task_id: problem.prompt for problem in PROBLEMS}, sampling)


class Verdicts:
    """A judge whose verdicts depend on the text alone: what timing says is never the same twice."""

    def __init__(self, decide: Callable[[str], tuple[Verdict, Integrity]], stop_after: int | None = None) -> None:
        self._decide, self._left = decide, stop_after
        self.remembered: dict[tuple[str, str], Outcome] = {}

    def remember(self, outcomes: Mapping[tuple[str, str], Outcome]) -> None:
        self.remembered |= outcomes

    def __call__(self, completions: Sequence[tuple[str, str]]) -> list[Outcome]:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        return [Outcome(text, *self._decide(text)) for _, text in completions]


def short_passes(text: str) -> tuple[Verdict, Integrity]:
    return (Verdict.PASSED if len(text) % 2 else Verdict.WRONG), Integrity.STRONG


def fit(model: Path, out: Path, settings: TrainConfig, judge: Judge) -> OnlineSummary:
    return train_online(
        PROBLEMS,
        REFERENCES,
        model,
        out,
        settings,
        writer=writer(settings),
        judge=judge,
        reporter=SilentReporter(),
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    return state


def same_weights(one: Path, other: Path) -> bool:
    second = weights(other)
    return all(torch.equal(tensor, second[name]) for name, tensor in weights(one).items())


def rows(folder: Path) -> list[RewardRow]:
    return list(read_rows(folder / "rewards.jsonl", RewardRow))


@pytest.fixture(scope="module")
def sandbox_judge() -> Iterator[SandboxJudge]:
    with Sandbox(cores=[CORE]) as sandbox:
        by_id = {problem.task_id: problem for problem in PROBLEMS}
        yield SandboxJudge(by_id, REFERENCES, sandbox, [CORE], JudgeSettings(), print)


@pytest.fixture(scope="module")
def small_model() -> Path:
    return Path(resolve_model("smollm2-135m", SilentReporter()))


# --- whole runs --------------------------------------------------------------------------------------------------


@pytest.mark.docker
@pytest.mark.parametrize("optim", ["rloo", "grpo"])
def test_a_run_with_the_sandbox_leaves_a_model_and_its_records(
    optim: str, tmp_path: Path, tiny_model: Path, sandbox_judge: SandboxJudge
) -> None:
    out = tmp_path / optim
    settings = config(optim, max_steps=2, online=ONLINE | {"beta": 0.05})
    summary = fit(tiny_model, out, settings, sandbox_judge)
    assert (summary.name, summary.steps, summary.problems, summary.references) == (optim, 2, 2, 2)
    found = rows(out)
    assert [row.step for row in found] == [1] * 4 + [2] * 4
    assert [row.number for row in found] == list(range(8))
    assert {row.task_id for row in found} == set(NAMES)
    assert {row.integrity for row in found} == {"strong"}
    assert all(row.reward == 0.0 for row in found if row.verdict != "PASSED")
    assert summary.rewards == summarize_rewards(found)
    assert AutoModelForCausalLM.from_pretrained(out).num_parameters() > 0
    assert f"({optim.upper()})" in (out / "README.md").read_text()
    assert not (out / "checkpoints").exists()
    assert fit(tiny_model, out, settings, sandbox_judge).finished_before
    with pytest.raises(UserError, match="settings"):
        fit(tiny_model, out, config(optim), sandbox_judge)


@pytest.mark.docker
def test_the_small_model_earns_different_rewards_and_learns_from_them(
    tmp_path: Path, small_model: Path, sandbox_judge: SandboxJudge
) -> None:
    settings = config(
        "rloo",
        max_steps=2,
        learning_rate=1e-5,
        batch_size=8,
        checkpoint_every="never",
        online={"generations": 4, "max_new_tokens": 40, "temperature": 0.8, "beta": 0.0},
    )
    summary = fit(small_model, tmp_path / "m", settings, sandbox_judge)
    found = rows(tmp_path / "m")
    assert len({row.reward for row in found}) >= 2
    assert any(row.verdict == "PASSED" for row in found)
    assert any(row.speedup is not None for row in found)
    assert any(row.finish_reason is FinishReason.FUNCTION_END for row in found)
    assert summary.rewards.programs < summary.rewards.completions  # some were written twice
    assert not same_weights(small_model, tmp_path / "m")


@pytest.mark.parametrize("optim", ["rloo", "grpo"])
def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    optim: str, tmp_path: Path, tiny_model: Path
) -> None:
    settings = config(optim)
    whole = fit(tiny_model, tmp_path / "whole", settings, Verdicts(short_passes))
    assert {row.reward for row in rows(tmp_path / "whole")} == {0.0, 1.0}
    assert not same_weights(tiny_model, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_model, tmp_path / "parts", settings, Verdicts(short_passes, stop_after=2))
    judge = Verdicts(short_passes)
    parts = fit(tiny_model, tmp_path / "parts", settings, judge)
    assert parts.resumed_from == 2
    earlier = {(row.task_id, row.completion) for row in rows(tmp_path / "whole") if row.step <= 2}
    assert judge.remembered.keys() == earlier
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert parts.rewards == whole.rewards
    assert same_weights(tmp_path / "parts", tmp_path / "whole")


def test_each_epoch_has_an_order_of_its_own(tmp_path: Path, tiny_model: Path) -> None:
    settings = config("rloo", max_steps=6, batch_size=2, checkpoint_every="never")
    fit(tiny_model, tmp_path / "m", settings, Verdicts(short_passes))
    order = [row.task_id for row in rows(tmp_path / "m")[::2]]
    epochs = [tuple(order[at : at + 2]) for at in range(0, 6, 2)]
    assert all(set(epoch) == set(NAMES) for epoch in epochs)
    assert len(set(epochs)) == 2


@pytest.mark.parametrize("optim", ["rloo", "grpo"])
def test_no_signal_moves_no_weight(optim: str, tmp_path: Path, tiny_model: Path) -> None:
    """Half of the completions would be worth 1, the others 0; but the sandbox vouches for none of them."""
    settings = config(optim, max_steps=1, online=ONLINE | {"max_refused": 1.0})
    judge = Verdicts(lambda text: (short_passes(text)[0], Integrity.WEAK))
    summary = fit(tiny_model, tmp_path / "m", settings, judge)
    assert summary.rewards.refused == {"weak": 4, "violation": 0, "internal": 0}
    assert summary.rewards.first_reward is None
    assert same_weights(tiny_model, tmp_path / "m")


def test_a_run_of_refused_completions_is_ended(tmp_path: Path, tiny_model: Path) -> None:
    judge = Verdicts(lambda _: (Verdict.VIOLATION, Integrity.STRONG))
    settings = config("grpo", batch_size=32, online=ONLINE | {"generations": 16})
    with pytest.raises(UserError, match="32 of 32 completions earned no reward"):
        fit(tiny_model, tmp_path / "m", settings, judge)
    assert {row.reward for row in rows(tmp_path / "m")} == {0.0}


def test_low_rank_adapters_are_sampled_from_and_trained(tmp_path: Path, tiny_model: Path) -> None:
    settings = config("grpo", max_steps=2, lora={"r": 4}, gradient_checkpointing=True, online=ONLINE | {"beta": 0.1})
    fit(tiny_model, tmp_path / "m", settings, Verdicts(short_passes))
    assert (tmp_path / "m" / "adapter" / "adapter_model.safetensors").exists()
    assert not same_weights(tiny_model, tmp_path / "m")


# --- what is written and learnt from -----------------------------------------------------------------------------


def test_the_live_model_writes_what_sampling_would(small_model: Path) -> None:
    """Same contexts, same loop, same ends; and what is learnt from is the completion, then end-of-text, no more."""
    settings = SamplingSettings(n_seq=2, temperature=0.8, max_new_tokens=40)
    sampler = TransformersSampler(small_model, device="cpu")
    tokenizer = sampler.tokenizer
    live = LiveWriter({problem.task_id: problem.prompt for problem in PROBLEMS}, settings)
    task_ids = [problem.task_id for problem in PROBLEMS for _ in range(2)]
    written = live(sampler.model, tokenizer, task_ids, 0)
    prompts = render_prompts(PROBLEMS, tokenizer, config("rloo"))
    ends = 0
    for number, (task_id, one) in enumerate(zip(task_ids, written, strict=True)):
        (problem,) = (problem for problem in PROBLEMS if problem.task_id == task_id)
        context = render(problem.prompt, tokenizer)
        assert prompts.texts[task_id] == context.text
        assert prompts.task_ids[tuple(one.prompt_ids)] == task_id
        assert list(one.prompt_ids) == token_ids(context.text, tokenizer)
        (alone,) = sampler.write([Row(task_id, number)], {task_id: live._starts[task_id]}, settings)
        assert context.lead + alone.text == one.completion
        text = tokenizer.decode([*one.prompt_ids, *one.ids], skip_special_tokens=False)
        assert (context.head + one.completion).startswith(text.removesuffix(tokenizer.eos_token))
        if one.finish_reason is FinishReason.FUNCTION_END:
            ends += 1
            assert text.rstrip() == (context.head + one.completion).rstrip()
    assert ends


def test_end_of_text_is_learnt_where_the_function_ended(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    class Sample:
        def __init__(self, reason: FinishReason) -> None:
            self.completion, self.prompt_ids, self.ids, self.finish_reason = "", (1, 2), (3, 4), reason

    reasons = [FinishReason.FUNCTION_END, FinishReason.LENGTH, FinishReason.EOS]
    rollouts = Rollouts(
        lambda model, tokenizer, task_ids, first: [Sample(reason) for reason in reasons],
        Verdicts(short_passes),
        config("rloo").online,
        tokenizer,
        {(1, 2): "t"},
        earlier=(),
        record=lambda row: None,
        where=tmp_path,
    )
    learnt = rollouts.write(None, [[1, 2]] * 3, step=0)
    assert learnt == [[3, 4, tokenizer.eos_token_id], [3, 4], [3, 4]]


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["use_vllm", "top_k", "generation_kwargs", "steps_per_generation", "reward_weights"])
def test_settings_that_would_sample_otherwise_are_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"trainer.{key}"):
        online_arguments(config("grpo", trainer={key: 1}), tmp_path)


def test_other_settings_of_the_trainer_go_through(tmp_path: Path) -> None:
    assert online_arguments(config("grpo", trainer={"loss_type": "dr_grpo"}), tmp_path).loss_type == "dr_grpo"
    with pytest.raises(UserError, match="losstype"):
        online_arguments(config("grpo", trainer={"losstype": "dr_grpo"}), tmp_path)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"online": {"generations": 3}}, "generations"),
        ({"online": {"bound": 1.0}}, "online.bound"),
        ({"online": {"rewards": "speed"}}, "online.rewards"),
    ],
)
def test_bad_settings_are_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        load_config(None, {"optim": "rloo", **values})


@pytest.mark.parametrize("optim", ["rloo", "grpo"])
def test_the_recipe_holds_and_the_command_line_wins(optim: str) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "smollm2-135m" / f"{optim}.yaml"
    found = load_config(recipe, {"online": {"reward": "pass"}})
    written = load_config(recipe)
    assert (found.optim, found.online.reward, written.online.reward) == (optim, "pass", "speed")
    assert found.online.max_new_tokens == written.online.max_new_tokens == 96


def test_several_processes_and_too_few_problems_are_refused(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="a step takes 4 problems"):
        fit(tiny_model, tmp_path / "m", config("rloo", batch_size=8), Verdicts(short_passes))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="one process"):
        fit(tiny_model, tmp_path / "m", config("rloo"), Verdicts(short_passes))


def test_the_hooks_are_still_what_they_were() -> None:
    """Private methods of TRL that are overridden. If this fails after an update, read them again."""

    def parameters(kind: type, name: str) -> list[str]:
        return list(inspect.signature(getattr(kind, name)).parameters)

    for kind in (RLOOTrainer, GRPOTrainer):
        assert parameters(kind, "_tokenize_prompts") == ["self", "prompts"]
        assert parameters(kind, "_get_train_sampler") == ["self", "dataset"]
        source = inspect.getsource(kind._generate)
        assert "prompt_ids, images, multimodal_fields = self._tokenize_prompts(prompts)" in source
        assert "self.generation_config" not in source  # nothing is written but in _generate_single_turn
    generates = ["self", "prompt_ids", "images", "multimodal_fields"]
    assert parameters(RLOOTrainer, "_generate_single_turn") == generates
    more = [*generates, "num_generations", "has_tool_images"]
    assert parameters(GRPOTrainer, "_generate_single_turn") == more
    assert parameters(OnlineRLOO, "_generate_single_turn") == generates
    assert parameters(OnlineGRPO, "_generate_single_turn") == more


def test_a_summary_counts_refused_completions_in_no_mean() -> None:
    def row(step: int, reward: float | None, refusal: str | None = None) -> RewardRow:
        values = {"task_id": "t", "number": 0, "completion": "", "tokens": 1, "finish_reason": "eos", "speedup": None}
        kept = {"solution_id": str(reward), "verdict": "PASSED", "integrity": "strong", "sound": True}
        text = json.dumps({**values, **kept, "step": step, "reward": reward, "refusal": refusal})
        return parse_row(RewardRow, text, where="test")

    found = summarize_rewards([row(1, 1.5), row(1, None, "weak"), row(1, 0.0), *(row(k, 0.0) for k in range(2, 11))])
    assert (found.completions, found.programs) == (12, 3)
    assert (found.first_reward, found.first_passing, found.last_reward) == (0.75, 0.5, 0.0)
    assert found.refused == {"weak": 1, "violation": 0, "internal": 0}
    assert summarize_rewards([]).last_reward is None
