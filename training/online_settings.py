"""The `online:` section of the settings, for RLOO and GRPO: how completions are drawn, judged and rewarded meanwhile.

The size of a step is `batch_size` × `gradient_accumulation` completions.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.reward.rule import Reference, Rule


class Online(BaseModel):
    """See harness/reward/rule.py for what a completion is worth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # What is drawn
    generations: Annotated[int, Field(ge=2)] = 8  # completions of a problem that are weighed against each other
    max_new_tokens: Annotated[int, Field(ge=1)] = 256
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    # What it is worth
    reward: Literal["speed", "pass"] = "speed"  # pass: nothing is timed
    speed_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.25  # of a doubling of speed; a pass is worth 1
    bound: Annotated[float, Field(ge=0, lt=1)] = 0.5  # the most that speed adds or takes
    reference: Reference = Reference.MEDIAN  # the passing answer of the merged data that speed is compared with
    rounds: Annotated[int, Field(ge=4)] = 5  # of timing; fewer would seldom decide an order
    timing_seconds: Annotated[float, Field(gt=0)] = 5.0  # wall time for timing a problem's completions of one step
    max_refused: Annotated[float, Field(ge=0, le=1)] = 0.2  # share of completions without a reward that ends the run
    # How far the model may go
    beta: Annotated[float, Field(ge=0)] = 0.05  # weight of its distance (KL) from where it started; 0: free

    @property
    def rule(self) -> Rule:
        return Rule(self.speed_weight, self.bound)
