"""What an online run writes and is rewarded for: from prompts to completions, to rewards, to rewards.jsonl."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase, TrainerState

from harness.errors import UserError
from harness.records import FinishReason
from harness.reward.rule import Outcome, Refusal, Reward, too_many
from training.online_settings import Online

REWARDS = "rewards.jsonl"


class LiveSample(Protocol):
    """A completion; its context's tokens; the tokens it is made of (harness/sampling/live.py)."""

    completion: str
    prompt_ids: Sequence[int]
    ids: Sequence[int]
    finish_reason: FinishReason


class Writer(Protocol):
    """Draws one completion for each task_id, in that order and numbered from `first` on, as `sample` would."""

    def __call__(self, model: Any, tokenizer: Any, task_ids: Sequence[str], first: int) -> Sequence[LiveSample]: ...


class Judge(Protocol):
    """Finds out what (task_id, completion) pairs came to, in order (harness/reward/judging.py)."""

    def __call__(self, completions: Sequence[tuple[str, str]]) -> Sequence[Outcome]: ...

    def remember(self, outcomes: Mapping[tuple[str, str], Outcome]) -> None: ...


@dataclass(frozen=True, slots=True)
class RewardRow:
    """One completion of one step; a row of rewards.jsonl. `completion` is untrusted text."""

    step: int  # the optimiser step that learns from it, from 1
    task_id: str
    number: int  # of the completion, from 0 over the whole run
    completion: str
    tokens: int  # that the step learns from
    finish_reason: FinishReason
    solution_id: str
    verdict: str
    integrity: str
    speedup: float | None  # over the reference; None: not decided, or not looked at
    sound: bool
    reward: float | None  # None: refused, no signal
    refusal: Refusal | None

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.solution_id, self.verdict, self.integrity, self.speedup, self.sound)


@dataclass(frozen=True, slots=True)
class RewardSummary:
    """What came of the completions of a run. `first` and `last`: over its first and last tenth of steps, at least one.

    Shares and means are None where there is nothing to take them of; refused completions count in no mean.
    """

    completions: int
    programs: int  # distinct ones
    first_reward: float | None
    last_reward: float | None
    first_passing: float | None
    last_passing: float | None
    refused: dict[str, int]  # by why


def summarize_rewards(rows: Sequence[RewardRow]) -> RewardSummary:
    """Pure."""
    steps = sorted({row.step for row in rows})
    tenth = -(-len(steps) // 10)
    first, last = ([row for row in rows if row.step in part] for part in (steps[:tenth], steps[len(steps) - tenth :]))
    return RewardSummary(
        completions=len(rows),
        programs=len({(row.task_id, row.solution_id) for row in rows}),
        first_reward=_mean([row.reward for row in first]),
        last_reward=_mean([row.reward for row in last]),
        first_passing=_mean([_passes(row) for row in first]),
        last_passing=_mean([_passes(row) for row in last]),
        refused={kind.value: sum(row.refusal is kind for row in rows) for kind in Refusal},
    )


def _passes(row: RewardRow) -> float | None:
    return None if row.reward is None else float(Reward(row.reward).passed)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None


class Rollouts:
    """The completions of the step that is on: `write` makes them, `reward` says what they are worth.

    task_ids: by the tokens of their contexts. earlier: the rows of the part of the run that is behind. record: is given
    each new row.
    """

    def __init__(
        self,
        writer: Writer,
        judge: Judge,
        settings: Online,
        tokenizer: PreTrainedTokenizerBase,
        task_ids: Mapping[tuple[int, ...], str],
        *,
        earlier: Sequence[RewardRow],
        record: Callable[[RewardRow], None],
        where: Path,
    ) -> None:
        self._writer, self._judge, self._settings = writer, judge, settings
        self._tokenizer, self._task_ids = tokenizer, task_ids
        self._record, self._where = record, where
        self._judged = len(earlier)
        self._refused = sum(row.refusal is not None for row in earlier)
        self._first = 0
        self._latest: Sequence[LiveSample] = ()
        judge.remember({(row.task_id, row.solution_id): row.outcome for row in earlier})

    def write(self, model: Any, prompt_ids: Sequence[Sequence[int]], step: int) -> list[list[int]]:
        """The tokens to learn from of a new completion for each context; step: optimiser steps that are behind."""
        task_ids = [self._task_ids[tuple(ids)] for ids in prompt_ids]
        self._first = step * len(task_ids)
        self._latest = self._writer(model, self._tokenizer, task_ids, self._first)
        return [self._learnt(sample) for sample in self._latest]

    def _learnt(self, sample: LiveSample) -> list[int]:
        """What was drawn; where the function's end was seen in what followed, end-of-text stands for that."""
        ended = [int(self._tokenizer.eos_token_id)] if sample.finish_reason is FinishReason.FUNCTION_END else []
        return [*sample.ids, *ended]

    def reward(
        self,
        *,
        completion_ids: Sequence[Sequence[int]],
        task_id: Sequence[str],
        trainer_state: TrainerState,
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float | None]:
        """TRL's reward function. Raises UserError where too many completions are refused, and SandboxError."""
        texts = [(task, sample.completion) for task, sample in zip(task_id, self._latest, strict=True)]
        outcomes = self._judge(texts)
        rewards = [self._settings.rule.reward(outcome) for outcome in outcomes]
        for at, (task, outcome, reward) in enumerate(zip(task_id, outcomes, rewards, strict=True)):
            self._record(
                RewardRow(
                    step=trainer_state.global_step + 1,
                    task_id=task,
                    number=self._first + at,
                    completion=self._latest[at].completion,
                    tokens=len(completion_ids[at]),
                    finish_reason=self._latest[at].finish_reason,
                    solution_id=outcome.solution_id,
                    verdict=outcome.verdict,
                    integrity=outcome.integrity,
                    speedup=outcome.speedup,
                    sound=outcome.sound,
                    reward=reward.value,
                    refusal=reward.refusal,
                )
            )
        log_metric("passing", sum(reward.passed for reward in rewards) / len(rewards))
        self._count(rewards)
        return [reward.value for reward in rewards]

    def _count(self, rewards: Sequence[Reward]) -> None:
        self._judged += len(rewards)
        self._refused += sum(reward.refusal is not None for reward in rewards)
        if too_many(self._refused, self._judged, self._settings.max_refused):
            raise UserError(
                f"{self._refused} of {self._judged} completions earned no reward, because the sandbox would not vouch "
                f"for their verdicts; online.max_refused is {self._settings.max_refused:g}",
                where=str(self._where),
                fix="see `refusal` there: weak: that problem's test can't be split from the solution, leave it out; "
                "violation: look at what the model writes; internal: `code-optimise doctor --sandbox`",
            )
